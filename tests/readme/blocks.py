"""Code blocks of a Markdown document, and a way to run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(
    r"(?:<!-- (?P<note>[^>]*?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """One fenced block; ``note`` is the HTML comment right above it."""

    language: str
    code: str
    note: str
    line: int

    def run(self, folder: Path, *, timeout: float = 600) -> str:
        """Run it in ``folder`` as a reader would, and return what it prints.

        A YAML block becomes the file that its first line names.
        """
        if self.language == "yaml":
            (folder / self.code.partition("\n")[0].removeprefix("# ")).write_text(self.code)
            return ""
        shell = ["bash", "-euo", "pipefail", "-c"]
        command = {"bash": shell, "python": [sys.executable, "-W", "error", "-c"]}[self.language]
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            [*command, self.code],
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"line {self.line}:\n{self.code}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def blocks(document: str) -> list[Block]:
    """The blocks of a document of this repository that can be run, in order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [
        Block(match["language"], match["code"], match["note"] or "", text.count("\n", 0, match.start("code")))
        for match in _BLOCK.finditer(text)
        if match["language"] in ("bash", "python", "yaml")
    ]
