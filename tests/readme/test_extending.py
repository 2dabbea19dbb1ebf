"""docs/extending.md: the package on that page is installed, and its commands run literally as written."""

from __future__ import annotations

import os
import re
import tomllib
from importlib.metadata import EntryPoint

import pytest

from mien.core.errors import DatasetError
from mien.core.preprocess import InputSpec
from mien.data import load
from mien.training.recipe import Recipe
from readme.blocks import ROOT, blocks

DOCUMENT = "docs/extending.md"


def install(folder, monkeypatch):
    """Write the page's package where Python looks for packages, as pip would."""
    text = (ROOT / DOCUMENT).read_text(encoding="utf-8")
    project = tomllib.loads(re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1])["project"]
    (folder / "my_expressions").mkdir(parents=True)
    (folder / "my_expressions" / "__init__.py").touch()
    for block in blocks(DOCUMENT):
        if block.language == "python":
            (folder / block.code.partition("\n")[0].removeprefix("# ")).write_text(block.code)
    about = folder / "my_expressions-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in points.items())])
        for group, points in project["entry-points"].items()
    ]
    (about / "entry_points.txt").write_text("\n".join(groups) + "\n")
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


@pytest.mark.slow
def test_the_package_on_the_page_is_known_everywhere(desk, face_folder, monkeypatch):
    install(desk / "site", monkeypatch)
    stage = desk / "pictures" / "stage-faces"
    stage.mkdir()
    for path in sorted(face_folder.glob("train/*/*.png")):
        (stage / f"{path.parent.name}-{path.name}").write_bytes(path.read_bytes())
    monkeypatch.setenv("COLUMNS", "150")
    for block in blocks(DOCUMENT):
        if block.language == "yaml":
            block.run(desk)
            assert Recipe.read(desk / "two-convs.yaml").network == "two-convs"
    [commands] = [block for block in blocks(DOCUMENT) if block.language == "bash"]
    printed = commands.run(desk)
    assert re.search(r"two-convs\W+mine\W+48 x 48\W+1,687\W+0\W+", printed)
    # 16 kernels of 9 on 12 x 12 places, 10 of 144 on 3 x 3
    assert re.search(r"two-convs +48 +1,687 +0 +33,696 ", printed)
    assert "stage-faces" in printed
    assert "our own pictures, with consent" in printed
    assert (desk / "runs" / "mine" / "best.safetensors").is_file()


class Point:
    """An entry point of another package."""

    name, value = "theirs", "their.package:theirs"

    def __init__(self, listed):
        self._listed = listed

    def load(self):
        return lambda root: self._listed


@pytest.mark.parametrize(
    ("point", "name", "message"),
    [
        (Point(3), "theirs", "of their.package:theirs is listed as no PictureIndex: 3"),
        (Point(3), "their", "did you mean 'theirs'"),
        (
            EntryPoint("gone", "no.such:thing", load.ENTRY_POINTS),
            "gone",
            r"'gone' of no\.such:thing cannot be listed: No module",
        ),
    ],
)
def test_what_another_package_gets_wrong_is_named(monkeypatch, point, name, message):
    monkeypatch.setattr(load, "entry_points", lambda group: [point] if group == load.ENTRY_POINTS else [])
    with pytest.raises(DatasetError, match=message):
        load.load_dataset(name, InputSpec())
