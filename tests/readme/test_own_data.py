"""docs/own-data.md: a person's own folder goes through train, export, evaluate and read, literally as written."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from readme.blocks import blocks


@pytest.mark.slow
def test_the_walk_through_runs(desk, face_folder):
    shutil.copytree(face_folder, desk / "my-faces")
    photos = desk / "my-photos" / "train" / "happy"
    photos.mkdir(parents=True)
    shutil.copy(desk / "photo.jpg", photos / "eileen.jpg")

    printed = "".join(block.run(desk) for block in blocks("docs/own-data.md"))

    assert (desk / "my-faces/train/happy/eileen.png").is_file()
    assert (desk / "confusion.png").is_file()
    manifest = json.loads((desk / "runs/my-faces-0/my-faces.json").read_text())
    assert manifest["trained_on"] == "my-faces: fitted on 141 rows of train, chosen on 56 of validation"
    accuracy = re.search(r"accuracy\W+([\d.]+) %", printed)
    assert accuracy
    assert float(accuracy[1]) > 50  # drawn faces are easy; chance is 14 %
    assert "my-faces" in (desk / "out/both.html").read_text()
