"""What all benchmarks share: where and with what a figure was measured, percentiles, and the file it goes into."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.provenance import commit

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("mien", "numpy", "opencv-python-headless", "onnxruntime", "torch")


_LAUNCHER = """
import os, sys
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
process = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(process, 0)
print([usage.ru_utime + usage.ru_stime, usage.ru_maxrss])
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Starts a command from a process of next to no size: a child's peak memory counts that of whoever started it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process took: CPU seconds (user and system) and peak resident memory in MB of 10^6 bytes."""

    cpu_seconds: float
    peak_mb: float


def percentiles(samples: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile, interpolated linearly."""
    p50, p95 = np.percentile(np.asarray(samples), [50, 95])
    return {"p50": float(p50), "p95": float(p95)}


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds that ``work`` takes once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def child(command: Sequence[str | Path]) -> Usage:
    """Run a command to its end, its output thrown away.

    Raises:
        RuntimeError: it failed; the message holds what it printed on stderr.
    """
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER]
    done = subprocess.run([*launcher, *map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stderr}")
    cpu_seconds, peak = json.loads(done.stdout)
    return Usage(cpu_seconds, peak * (1 if sys.platform == "darwin" else 1024) / 1e6)


def portrait() -> NDArray[np.uint8]:
    """The portrait that ships inside scikit-image, RGB ``(512, 512, 3)``: Eileen Collins, NASA, public domain."""
    from skimage.data import astronaut

    picture: NDArray[np.uint8] = astronaut()  # type: ignore[no-untyped-call]
    return picture


def save_jpeg(path: Path, picture: NDArray[np.uint8], *, quality: int = 92) -> None:
    """Write an RGB picture as JPEG.

    Raises:
        RuntimeError: it cannot be written.
    """
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    if not cv2.imwrite(str(path), bgr, [cv2.IMWRITE_JPEG_QUALITY, quality]):
        raise RuntimeError(f"{path} cannot be written")


def setting() -> dict[str, Any]:
    """Machine, versions, commit and time of a measurement."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(apart_from=RESULTS),
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
            "system": f"{platform.system()} {platform.machine()}",
            "load": round(os.getloadavg()[0], 2),
        },
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }


def resident_mb(process: int | None = None) -> float:
    """Memory of a process now, of this one where none is named, in MB of 10^6 bytes as Linux tells it."""
    pages = int(Path(f"/proc/{process or 'self'}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def write(name: str, measured: dict[str, Any], *, folder: Path = RESULTS) -> None:
    """Write ``folder/NAME.json``: the setting, then what was measured; print it too."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"benchmark": name, **setting(), **measured}, indent=1)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=1))


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
