"""``make demo`` without the set-up: a correct reading of a real face, and the files that it names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from readme.blocks import ROOT


def test_the_demo_reads_a_smile_without_a_network(tmp_path):
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {**os.environ, **nowhere, "no_proxy": "", "MIEN_HOME": str(tmp_path / "home")}
    command = [sys.executable, str(ROOT / "examples" / "demo.py"), str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "YuNet could not be fetched now" in done.stdout
    assert re.search(r"portrait\.png\s+1\s+happy\s+\d+ %\s+positive", done.stdout)
    named = re.findall(r"^(?:annotated picture|HTML report) +(.+)$", done.stdout, flags=re.MULTILINE)
    assert [Path(name).name for name in named] == ["portrait-mien.jpg", "report.html"]
    assert all(Path(name).stat().st_size > 10_000 for name in named)
