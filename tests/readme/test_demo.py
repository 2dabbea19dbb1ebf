"""``make demo`` without the set-up: a correct reading of a real face, and the files that it names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from readme.blocks import ROOT


def test_the_demo_reads_a_smile(tmp_path):
    command = [sys.executable, str(ROOT / "examples" / "demo.py"), str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"portrait\.png\s+1\s+happy\s+\d+ %\s+positive", done.stdout)
    named = re.findall(r"^(?:annotated picture|HTML report) +(.+)$", done.stdout, flags=re.MULTILINE)
    assert [Path(name).name for name in named] == ["portrait-mien.jpg", "report.html"]
    assert all(Path(name).stat().st_size > 10_000 for name in named)
