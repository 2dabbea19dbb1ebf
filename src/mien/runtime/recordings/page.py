"""Recordings and comparisons in words: a standalone HTML page, a JSON document, and the picture's alternative text."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import MissingExtraError
from mien.core.expression import Expression
from mien.runtime.output.canvas import COLOURS
from mien.runtime.recordings.chart import clock, draw, draw_experiment, draw_lanes, render
from mien.runtime.recordings.compare import Comparison
from mien.runtime.recordings.read import STATES, UNCERTAIN, UNMEASURABLE, Recording
from mien.runtime.recordings.responses import Experiment
from mien.runtime.recordings.totals import Totals, timeline, totals, transitions

SCHEMA = 1
"""Version of the JSON document."""

_EVENTS_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Share:
    """One row of a table.

    Attributes:
        name: of the polarity or the state.
        seconds: face-seconds by what was held.
        percent: of the face time, likewise.
        probability: percent of the face time by smoothed probability; None where that has none.
        sure: mean probability while held, percent; None where it never was or is no expression.
    """

    name: str
    seconds: float
    percent: float
    probability: float | None
    sure: float | None


def shares(added: Totals) -> tuple[list[Share], list[Share]]:
    """What tables show of a totals: the polarities, uncertain and not measurable; and the expressions.

    Expressions that the model does not know are left out.
    """
    masses = {str(e): float(v) for e, v in zip(Expression, added.mass, strict=True)}
    polarities = {str(p): v for p, v in added.polarity_mass.items()}
    held = dict(zip(STATES[:-2], added.states.tolist(), strict=False))
    return (
        [_share(name, value, polarities.get(name), None, added) for name, value in added.held.items()],
        [
            _share(name, value, masses[name], _sureness(name, added), added)
            for name, value in held.items()
            if masses[name] > 0 or value > 0
        ],
    )


def _share(name: str, seconds: float, mass: float | None, sure: float | None, added: Totals) -> Share:
    scale = 100 / max(added.faces, 1e-9)
    return Share(name, seconds, scale * seconds, None if mass is None else scale * mass, sure)


def describe(recording: Recording, added: Totals) -> str:
    """One sentence on a recording, the most of it first; also its picture's alternative text.

    ``"an expression like happy for 35 % of the face time (how sure: 71 %), sad 22 %, uncertain 21 %, …"``
    """
    if not added.faces:
        return f"no face in view during the {clock(added.watched)} that were watched"
    parts = []
    for index in np.argsort(-added.states, kind="stable"):
        share, state = 100 * added.states[index] / added.faces, STATES[index]
        if added.states[index] <= 0:
            break
        sure = f" (how sure: {100 * added.sureness[index]:.0f} %)" if state not in (UNCERTAIN, UNMEASURABLE) else ""
        like = "" if sure == "" else "an expression like "
        parts.append(f"{like}{state} for {share:.0f} % of the face time{sure}")
    return f"{recording.name}: {'; '.join(parts)}"


def alternative(
    recordings: Sequence[Recording], comparisons: Sequence[Comparison], study: Experiment | None = None
) -> str:
    """The alternative text of the picture; with an experiment, of its courses."""
    if study is not None:
        points = [f"{r.condition}: {r.quantity} {100 * r.change:+.1f}" for r in study.responses]
        return f"Mean change after the onset in percentage points. {', '.join(points)}"
    words = [describe(recording, totals(recording)) for recording in recordings]
    for comparison in comparisons:
        points = [f"{d.quantity} {100 * d.difference:+.1f}" for d in comparison.differences if d.measure == "held"]
        words.append(f"{comparison.second} less {comparison.first} in percentage points: {', '.join(points)}")
    return ". ".join(words)


def document(
    recordings: Sequence[Recording], comparisons: Sequence[Comparison], study: Experiment | None = None
) -> dict[str, Any]:
    """All numbers, JSON-ready: ``{"schema": 1, "recordings": [...], "comparisons": [...], "experiment": ...}``."""
    return {
        "schema": SCHEMA,
        "recordings": [_document(recording) for recording in recordings],
        "comparisons": [comparison.to_dict() for comparison in comparisons],
        "experiment": None if study is None else study.to_dict(),
    }


def page(recordings: Sequence[Recording], comparisons: Sequence[Comparison], study: Experiment | None = None) -> str:
    """The standalone HTML page.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise MissingExtraError("jinja2", "plots", "the HTML report") from None
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"clock": clock, "signed": _signed, "points": _points, "chance": _chance}
    template = Path(__file__).with_name("page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        models=sorted({model for recording in recordings for model in recording.models}),
        recordings=[_card(recording) for recording in recordings],
        comparisons=[_comparison_card(comparison) for comparison in comparisons],
        study=None if study is None else _study_card(study),
        colours={str(e): f"rgb{rgb}" for e, rgb in COLOURS.items()},
        shown=_EVENTS_SHOWN,
    )


def _document(recording: Recording) -> dict[str, Any]:
    cut, counts = timeline(recording), transitions(recording)
    changes = [
        {"from": STATES[a], "to": STATES[b], "count": int(counts[a, b])} for a, b in np.argwhere(counts).tolist()
    ]
    minutes = [
        {
            "start": float(start),
            "watched": float(cut.watched[i]),
            "no_face": float(cut.empty[i]),
            "held": dict(zip(STATES, cut.states[i].tolist(), strict=True)),
            "by_probability": dict(zip((str(e) for e in Expression), cut.mass[i].tolist(), strict=True)),
        }
        for i, start in enumerate(cut.starts)
    ]
    return {
        "name": recording.name,
        "models": list(recording.models),
        "notes": list(recording.notes),
        **totals(recording).to_dict(),
        "changes": changes,
        "minutes": minutes,
        "events": [event.to_dict() for event in recording.events],
    }


def _card(recording: Recording) -> dict[str, Any]:
    added, counts = totals(recording), transitions(recording)
    seen = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    words = describe(recording, added)
    return {
        "recording": recording,
        "totals": added,
        "words": words,
        "figure": _embedded(render(draw_lanes(recording), alt=words)),
        "shares": shares(added),
        "changes": {
            "names": [STATES[index] for index in seen],
            "rows": [[int(counts[a, b]) for b in seen] for a in seen],
        },
    }


def _sureness(name: str, added: Totals) -> float | None:
    value = float(added.sureness[STATES.index(name)])
    return 100 * value if np.isfinite(value) else None


def _comparison_card(comparison: Comparison) -> dict[str, Any]:
    held = [d for d in comparison.differences if d.measure == "held"]
    alt = alternative([], [comparison])
    return {
        "comparison": comparison,
        "figure": _embedded(render(draw([], [comparison]), alt=alt)),
        "alt": alt,
        "tables": {
            "By the expression held": held,
            "By smoothed probability": [d for d in comparison.differences if d.measure == "by_probability"],
        },
    }


def _study_card(study: Experiment) -> dict[str, Any]:
    alt = alternative([], [], study)
    return {"study": study, "figure": _embedded(render(draw_experiment(study), alt=alt)), "alt": alt}


def _points(value: float) -> str:
    return "–" if not np.isfinite(value) else _signed(100 * value, 1)


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _embedded(png: bytes) -> dict[str, Any]:
    """The data of a PNG for a page, and its size in pixels, which stands at a fixed place in the file."""
    return {
        "data": base64.b64encode(png).decode("ascii"),
        "width": int.from_bytes(png[16:20], "big"),
        "height": int.from_bytes(png[20:24], "big"),
    }
