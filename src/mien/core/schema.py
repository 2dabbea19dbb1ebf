"""Strict reading of YAML and JSON mappings into frozen dataclasses: recipes, manifests and input specs.

Types come from the dataclass's annotations: str, int, float, bool, ``Literal``, ``StrEnum``, nested dataclasses,
``tuple[T, ...]``, ``dict[str, T]`` and unions with None. A wrong key names the nearest valid one.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from mien.core.errors import ConfigError, nearest

T = TypeVar("T")


def from_mapping(cls: type[T], mapping: object, where: str) -> T:
    """Build the dataclass ``cls`` from a mapping; ``where`` (a file, then a path of keys) opens each error.

    Raises:
        ConfigError: an unknown or missing key, a value of another type, or one that ``cls`` itself refuses.
    """
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{where}: expected keys with values, found {_kind(mapping)}")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for key in mapping:
        if key not in fields:
            raise ConfigError(f"{where}: unknown key '{key}': {nearest(str(key), fields)}")
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in mapping:
            values[name] = _convert(hints[name], mapping[name], f"{where}: {name}")
        elif _needs_value(field) and type(None) in typing.get_args(hints[name]):
            values[name] = None  # to_mapping leaves it out
        elif _needs_value(field):
            raise ConfigError(f"{where}: the key '{name}' is missing")
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def to_mapping(value: Any, *, defaults: bool = True) -> Any:
    """The JSON-ready form of a dataclass, the inverse of :func:`from_mapping`; fields that are None are left out.

    Without ``defaults`` so are the fields that have their default: what is left stays the same when a field is added.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f, getattr(value, f.name)) for f in dataclasses.fields(value) if f.init)
        kept = ((f.name, item) for f, item in pairs if item is not None and (defaults or item != _default(f)))
        return {name: to_mapping(item, defaults=defaults) for name, item in kept}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_mapping(item, defaults=defaults) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_mapping(item, defaults=defaults) for item in value]
    return value


def _needs_value(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(hint, value, where)
    if origin is typing.Literal:
        choices = typing.get_args(hint)
        if value not in choices or isinstance(value, bool) != any(isinstance(c, bool) for c in choices if c == value):
            raise ConfigError(f"{where}: '{value}' is not one of them: {nearest(str(value), map(str, choices))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where}: expected a list, found {_kind(value)}")
        args = typing.get_args(hint)
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) != len(value):
            raise ConfigError(f"{where}: expected {len(kinds)} values, found {len(value)}")
        return tuple(_convert(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: expected keys with values, found {_kind(value)}")
        return {str(k): _convert(typing.get_args(hint)[1], v, f"{where}: {k}") for k, v in value.items()}
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else from_mapping(hint, value, where)  # type: ignore[arg-type]
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        try:
            return hint(value)
        except ValueError:
            valid = (str(member.value) for member in hint)
            raise ConfigError(f"{where}: '{value}' is not one of them: {nearest(str(value), valid)}") from None
    return _convert_scalar(hint, value, where)


def _convert_union(hint: Any, value: Any, where: str) -> Any:
    options = typing.get_args(hint)
    if value is None and type(None) in options:
        return None
    kinds = [option for option in options if option is not type(None)]
    for kind in kinds[:-1]:
        try:
            return _convert(kind, value, where)
        except ConfigError:
            continue
    return _convert(kinds[-1], value, where)


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint in (str, bool) and isinstance(value, hint):
        return value
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 1e-3 as a string
        try:
            return float(value)
        except ValueError:
            pass
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    raise ConfigError(f"{where}: expected {names.get(hint, hint)}, found {_kind(value)}")


def _kind(value: object) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {value!r}"
