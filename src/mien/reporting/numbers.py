"""How numbers are written: shares in per cent, intervals, counts, commits. A dash stands for what is undefined."""

from __future__ import annotations

from typing import Protocol

NONE = "–"

Interval = tuple[float, float]


class HasInterval(Protocol):
    """A value with its interval, such as :class:`mien.evaluation.robustness.Estimate`."""

    @property
    def value(self) -> float: ...  # noqa: D102
    @property
    def interval(self) -> Interval: ...  # noqa: D102


def percent(share: float | None) -> str:
    """A share with its sign, ``"69.80 %"``."""
    return NONE if share is None else f"{100 * share:.2f} %"


def hundredths(share: float | None) -> str:
    """A share in per cent with two decimals and no sign, ``"69.80"``."""
    return NONE if share is None else f"{100 * share:.2f}"


def tenths(share: float, *, signed: bool = False) -> str:
    """A share in per cent with one decimal and no sign, ``"74.2"`` or ``"+1.3"``."""
    return f"{100 * share:+.1f}" if signed else f"{100 * share:.1f}"


def interval(bounds: Interval) -> str:
    """An interval of shares in per cent, two decimals: ``"64.12–67.26"``."""
    return f"{100 * bounds[0]:.2f}–{100 * bounds[1]:.2f}"


def span(bounds: Interval) -> str:
    """An interval of shares in per cent, one decimal: ``"73.1 to 75.3"``."""
    return f"{tenths(bounds[0])} to {tenths(bounds[1])}"


def with_interval(figure: HasInterval) -> str:
    """A share and its interval, both in per cent: ``"69.80 % (68.29–71.30)"``."""
    return f"{percent(figure.value)} ({interval(figure.interval)})"


def bounded(value: float, bounds: Interval, *, signed: bool = False) -> str:
    """A number and its interval, three decimals: ``"0.250 (0.200 to 0.300)"``."""
    form = "+.3f" if signed else ".3f"
    return f"{value:{form}} ({bounds[0]:{form}} to {bounds[1]:{form}})"


def count(value: int | None) -> str:
    """A whole number, ``"54,480"``."""
    return NONE if value is None else f"{value:,}"


def short_commit(commit: str | None) -> str:
    """The first seven digits of a commit, with ``-dirty`` where it has that; ``"no commit"`` without one."""
    if commit is None:
        return "no commit"
    digits, dash, dirty = commit.partition("-")
    return digits[:7] + dash + dirty
