"""The public surface: what each package shows, and that documents and examples use nothing else."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(f"mien.{path.parent.name}" for path in (ROOT / "src" / "mien").glob("*/__init__.pyi"))
FOR_PEOPLE = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").glob("*.py"))]
_IMPORT = re.compile(r"^\s*(?:>>> )?(?:from (mien[\w.]*) import|import (mien[\w.]*))", re.MULTILINE)


def names_of(package: str) -> list[str]:
    stub = ROOT / "src" / package.replace(".", "/") / "__init__.pyi"
    (names,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(stub.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    )
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_shows_what_its_stub_lists(package):
    module = importlib.import_module(package)
    assert set(module.__all__) == set(names_of(package)) == set(dir(module))
    for name in module.__all__:
        value = getattr(module, name)
        assert not callable(value) or value.__doc__, f"{package}.{name} is not explained"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_shown_name_is_that_of_a_module_beside_it(package):
    """Importing such a module would put it in the place of what is shown."""
    folder = ROOT / "src" / package.replace(".", "/")
    assert not set(names_of(package)) & {path.stem for path in folder.iterdir()}


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_nothing_heavy(package):
    heavy = "torch", "lightning", "onnxruntime", "fastapi", "matplotlib", "sklearn", "av"
    program = f"import sys, {package}; print(*set(sys.modules) & {set(heavy)})"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"


@pytest.mark.parametrize("document", FOR_PEOPLE, ids=lambda path: path.name)
def test_documents_and_examples_import_from_the_public_surface(document):
    used = {one or other for one, other in _IMPORT.findall(document.read_text(encoding="utf-8"))}
    assert used <= {"mien", *PACKAGES}
