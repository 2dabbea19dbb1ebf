import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from mien.core.places import user_folder
from mien.core.preprocess import InputSpec
from mien.data.cache import cached


class Reader:
    """Counts how often a dataset is read from its source."""

    def __init__(self, dataset, source):
        self.dataset, self.source, self.together, self.reads = dataset, source, Barrier(1), 0

    def __call__(self):
        self.reads += 1
        self.together.wait(timeout=60)
        return self.dataset

    def load(self, *, spec=None, layout="toy", folder=None):
        return cached(
            self, source=self.source, files=[self.source], spec=spec or InputSpec(), layout=layout, folder=folder
        )


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def reader(toy, tmp_path):
    source = tmp_path / "source.csv"
    source.write_text("one")
    votes = np.eye(7, dtype=np.float32)[[0, 3]]
    return Reader(replace(toy([1, 2], [0, 3], ["train", "test"], subject=["KÄ", "KL"]), votes=votes), source)


def test_second_load_equals_the_first(reader):
    first, second = reader.load(), reader.load()
    assert reader.reads == 1
    assert (second.name, second.labels, second.licence) == (first.name, first.labels, first.licence)
    for name in ("images", "indices", "splits", "rows", "votes"):
        np.testing.assert_array_equal(getattr(second, name), getattr(first, name))
        assert getattr(second, name).dtype == getattr(first, name).dtype
    assert second.metadata["subject"].tolist() == ["KÄ", "KL"]
    assert second.images.flags.writeable


def test_without_votes(reader):
    reader.dataset = replace(reader.dataset, votes=None)
    reader.load()
    assert reader.load().votes is None
    assert reader.reads == 1


def test_a_changed_source_is_read_again(reader, folder):
    reader.load()
    reader.source.write_text("three")
    reader.load()
    os.utime(reader.source, ns=(1, 1))
    reader.load()
    assert reader.reads == 3
    assert len(list(folder.iterdir())) == 1


def test_files_that_are_left_out_count(reader):
    for left_out in ({}, {"no picture": 1}, {"no picture": 1}, {"no picture": 2}):
        cached(reader, source=reader.source, files=[reader.source], spec=InputSpec(), layout="toy", left_out=left_out)
    assert reader.reads == 3


def test_crop_and_layout_have_caches_of_their_own(reader, folder):
    reader.load()
    reader.load(spec=InputSpec(size=64))
    reader.load(layout="other")
    assert reader.reads == 3
    reader.load(spec=InputSpec(mean=(1.0,), std=(2.0,)))
    assert reader.reads == 3
    assert len(list(folder.iterdir())) == 3


def flip(content):
    at = content.index(b"images.npy") + 180
    return content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"text", flip])
def test_a_damaged_cache_is_rebuilt(damage, reader, folder):
    reader.load()
    (file,) = folder.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    np.testing.assert_array_equal(reader.load().images, reader.dataset.images)
    reader.load()
    assert reader.reads == 2


def test_damage_anywhere(reader, folder, monkeypatch):
    reader.load()
    monkeypatch.setattr(np, "savez", lambda *_, **__: None)  # hundreds of whole files would only be damaged again
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    for at in range(0, len(whole), 7):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        np.testing.assert_array_equal(reader.load().images, reader.dataset.images)


def test_writers_side_by_side(reader, folder):
    reader.together = Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: reader.load(), range(4)))
    for dataset in loaded:
        np.testing.assert_array_equal(dataset.images, reader.dataset.images)
    assert [file.suffix for file in folder.iterdir()] == [".npz"]


def test_a_folder_that_cannot_be_written(reader, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert len(reader.load(folder=tmp_path / "file" / "cache")) == 2


def test_a_write_that_fails_leaves_nothing(reader, folder, monkeypatch):
    def fail(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", fail)
    assert len(reader.load()) == 2
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("platform", "variables", "cache", "data"),
    [
        ("linux", {}, "home/.cache/mien", "home/.local/share/mien"),
        ("linux", {"XDG_CACHE_HOME": "c", "XDG_DATA_HOME": "d"}, "c/mien", "d/mien"),
        ("darwin", {}, "home/Library/Caches/mien", "home/Library/Application Support/mien"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/mien/cache", "local/mien"),
    ],
)
def test_user_folders(platform, variables, cache, data, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert user_folder("cache") == Path(cache)
    assert user_folder("data") == Path(data)
