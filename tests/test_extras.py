"""The extras of pyproject.toml, and the messages that name them."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
BROUGHT_BY = {"scipy": "scikit-learn"}


def packages(extra: str) -> set[str]:
    """What an extra installs, its parts included."""
    found: set[str] = set()
    for need in EXTRAS[extra]:
        name, parts = re.match(r"([\w-]+)(?:\[([^\]]+)\])?", need).groups()
        found |= set().union(*map(packages, parts.split(","))) if name == "mien" else {name}
    return found


def named() -> list[tuple[str, str, str]]:
    """File, package and extra of every message that says both."""
    found = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "MissingExtraError":
                values = [value.value for value in node.args if isinstance(value, ast.Constant)]
                if len(node.args) == len(values):
                    found.append((path.name, *values[:2]))
    return found


def test_each_message_names_the_smallest_extra_that_serves():
    assert len(named()) > 15
    for file, package, extra in named():
        wanted = BROUGHT_BY.get(package, package)
        serving = {name: len(packages(name)) for name in EXTRAS if wanted in packages(name)}
        assert serving.get(extra) == min(serving.values(), default=None), f"{file}: {package} needs {extra}"


def test_every_extra_that_is_named_anywhere_exists():
    texts = [*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "Makefile"]
    for path in texts:
        for extras in re.findall(r"(?:mien|'\.)\[([a-z,]+)\]", path.read_text(encoding="utf-8")):
            assert set(extras.split(",")) <= set(EXTRAS), path
