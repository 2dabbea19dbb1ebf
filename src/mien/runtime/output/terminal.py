"""Results in the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mien.core.errors import MienError
from mien.core.face import Frame
from mien.runtime.output.sinks import Picture, Sink
from mien.runtime.output.watched import WatchedTime

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status


class TableSink(Sink):
    """A table on the terminal, row by row, and a line of counts below it."""

    def __init__(self, console: Console, *, detector: str, models: Sequence[str]) -> None:
        """Print to ``console``; detector and models are named below the table."""
        self._console = console
        self._named = f"detector {detector} · {'models' if len(models) > 1 else 'model'} {', '.join(models)}"
        self._several = len(models) > 1
        widths = {"picture": 16, "face": 4, "expression": 10, "": 5, "polarity": 8, "could be": 18}
        order = ["expression", "face", "", "picture", "could be", "polarity"]
        if self._several:
            widths["model"] = min(max(5, *map(len, models)), 18)
            order.insert(1, "model")
        shown = columns_that_fit(widths, order, console.width)
        self._widths = {name: widths[name] for name in (*list(widths)[:5], "model", "could be") if name in shown}
        self._under_names, self._bare = "picture" not in shown, "could be" not in shown
        spare = console.width - sum(self._widths.values()) - 2 * (len(self._widths) - 1)
        wide = [name for name in ("picture", "could be") if name in shown]
        for name in wide:
            self._widths[name] += spare // len(wide)
        self._pictures = self._faces = self._without = self._turned = self._rejected = self._failed = 0
        self._coverage = 0.0

    def write(self, frame: Frame, picture: Picture) -> None:  # noqa: ARG002
        """Print a row for each face and model, or one that says there is none."""
        if self._pictures == 0:
            self._print({name: name for name in self._widths}, style="bold")
        self._pictures += 1
        self._faces += len(frame)
        self._rejected += frame.rejected
        self._without += len(frame) == 0
        self._turned += any(face.turned for face in frame.faces)
        name = frame.source or "picture"
        if self._under_names:
            self._console.print(_cut(name, self._console.width), highlight=False, markup=False, no_wrap=True)
        if not frame.faces:
            self._print({"picture": name, "face": "–", "expression": "no face"}, style="dim")
        for number, face in enumerate(frame.faces, start=1):
            for reading in face.readings:
                self._coverage = reading.coverage
                percent = f"{reading.confidence * 100:.0f} %"
                self._print(
                    {
                        "picture": name,
                        "face": str(number),
                        "expression": reading.expression + ("?" if self._bare and reading.is_ambiguous else ""),
                        "": percent,
                        "polarity": reading.polarity,
                        "model": reading.model,
                        "could be": reading.describe(),
                    }
                )
                name = ""

    def fail(self, source: str, error: MienError) -> None:  # noqa: ARG002
        """Count the failure; the command prints it."""
        self._failed += 1

    def close(self) -> None:
        """Print the counts, and what read."""
        counts = [counted(self._pictures, "picture"), counted(self._faces, "face")]
        counts += [f"{self._without} without a face"] if self._without else []
        counts += [f"{self._turned} turned upright"] if self._turned else []
        counts += [counted(self._rejected, "find") + " rejected as no face"] if self._rejected else []
        counts += [f"{self._failed} could not be read"] if self._failed else []
        self._console.print(f"\n{' · '.join(counts)}", highlight=False, markup=False)
        told = self._coverage and not self._bare
        meaning = f" · 'could be' holds the truth for {self._coverage * 100:.0f} % of faces" if told else ""
        self._console.print(self._named + meaning, style="dim", highlight=False, markup=False)

    def _print(self, cells: Mapping[str, str], style: str = "") -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        for width in self._widths.values():
            table.add_column(width=width)
        shown = [cells.get(name, "") for name in self._widths]
        if "picture" in self._widths:
            shown[0] = _cut(shown[0], self._widths["picture"])
        table.add_row(*(Text(cell) for cell in shown), style=style)
        self._console.print(table)


class StreamTerminal(Sink):
    """A stream's events as they happen, a line that shows how it goes, and counts at the end."""

    def __init__(self, console: Console) -> None:
        """Print to ``console``; on a terminal a line says that the stream is being opened."""
        self._console = console
        self._status: Status | None = None
        self._began: float | None = None
        self._told = 0.0
        self._frames = self._events = self._faces = self._unmeasurable = self._rejected = self._cuts = 0
        self._tracks: set[int] = set()
        self._time = 0.0
        self._watched = WatchedTime()
        if console.is_terminal:
            self._status = console.status("starting; q or Ctrl-C ends", refresh_per_second=2)
            self._status.start()

    def write(self, frame: Frame, picture: Picture) -> None:  # noqa: ARG002
        """Count a frame, and print its events."""
        now = time.monotonic()
        self._began = self._began or now
        self._frames += 1
        self._faces += len(frame.faces)
        self._unmeasurable += sum(face.unmeasurable is not None for face in frame.faces)
        self._rejected += frame.rejected
        self._tracks.update(face.track.id for face in frame.faces if face.track)
        self._events += sum(event.kind != "cut" for event in frame.events)
        self._cuts += sum(event.kind == "cut" for event in frame.events)
        self._time = frame.time or 0.0
        self._watched.add(self._time)
        for event in frame.events:
            if event.kind == "cut":
                continue
            said = f"{clock(event.time)}  face {event.track}: an expression like {event.expression} {event.kind}"
            self._console.print(said, soft_wrap=True)
        if self._status and now - self._told >= 1:
            self._told = now
            self._status.update(f"{clock(self._time)} · {self._counts()}; q or Ctrl-C ends")

    def close(self) -> None:
        """Print the counts."""
        if self._status:
            self._status.stop()
        took = max(time.monotonic() - self._began, 1e-3) if self._began else 1.0
        said = f"{clock(self._watched.seconds)} watched · {self._counts()} · {self._frames / took:.0f} frames/s"
        self._console.print(said, soft_wrap=True)

    def _counts(self) -> str:
        parts = [counted(self._frames, "frame"), counted(len(self._tracks), "face"), counted(self._events, "event")]
        parts += [counted(self._cuts, "cut")] if self._cuts else []
        parts += [counted(self._rejected, "find") + " rejected as no face"] if self._rejected else []
        if self._unmeasurable:
            parts.append(f"{100 * self._unmeasurable / self._faces:.0f} % of faces not measurable")
        return " · ".join(parts)


def clock(seconds: float) -> str:
    """``12.4 s``, and from a minute on ``1:02:05``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def columns_that_fit(widths: Mapping[str, int], order: Sequence[str], width: int) -> list[str]:
    """The columns, by what matters most, that a terminal of ``width`` has room for with two spaces between them."""
    shown: list[str] = []
    for name in order:
        if sum(widths[other] + 2 for other in (*shown, name)) - 2 > width:
            break
        shown.append(name)
    return shown


def _cut(path: str, width: int) -> str:
    """A path with its middle left out where it is too long: the end, which tells files apart, keeps more."""
    if len(path) <= width:
        return path
    begin = (width - 1) // 3
    return path[:begin] + "…" + path[len(path) - (width - 1 - begin) :]


def counted(n: int, noun: str) -> str:
    """A number and what it counts: ``1 face``, ``1,024 faces``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
