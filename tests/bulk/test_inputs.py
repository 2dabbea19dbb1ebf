"""What mien bulk finds, and how it says that it does not."""

from __future__ import annotations

import tarfile
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.bulk import find_items
from mien.core import BulkError


def names(*given):
    return [item.uri.rsplit("/", 1)[-1] for item in find_items([str(one) for one in given])]


def test_a_folder_is_searched_in_order(inputs):
    assert names(inputs) == [*(f"{i}.png" for i in range(8)), "damaged.jpg", "film.mp4"]


def test_the_output_is_no_input(inputs, tmp_path):
    for name in ("a.png", "out/b.png", "@eaDir/a.png", ".c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((inputs / "0.png").read_bytes())
    left_out = Counter()
    found = find_items([str(tmp_path)], left_out=left_out, without=[tmp_path / "out"])
    assert [item.uri for item in found] == [str(tmp_path / "a.png")]
    assert left_out == {"written by mien": 1, "thumbnails": 1, "hidden": 1}


def test_a_glob(inputs):
    assert names(inputs / "**" / "[67].png") == ["6.png", "7.png"]


def test_an_address_of_fsspec():
    import fsspec

    fs = fsspec.filesystem("memory")
    fs.pipe("/bucket/a.png", b"1234")
    fs.pipe("/bucket/notes.txt", b"1")
    (item,) = find_items(["memory://bucket"])
    assert (item.uri, item.size) == ("memory:///bucket/a.png", 4)


def test_a_tar_shard_is_read_where_its_members_lie(inputs, tmp_path):
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as tar:
        tar.add(inputs / "0.png", "000.png")
        tar.add(inputs / "0.png", "000.txt")
        tar.add(inputs / "1.png", "001.png")
    items = list(find_items([str(shard)]))
    assert [item.id for item in items] == [f"{shard}#000.png", f"{shard}#001.png"]
    data = shard.read_bytes()
    assert data[items[1].offset :][: items[1].size] == (inputs / "1.png").read_bytes()


def test_what_is_neither_picture_nor_video_is_counted(inputs, tmp_path):
    for name in ("a.txt", "b.TXT", "README", "c.png"):
        (tmp_path / name).write_bytes(b"1")
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as tar:
        tar.add(inputs / "0.png", "000.png")
        tar.add(tmp_path / "a.txt", "000.json")
    left_out = Counter()
    assert len(list(find_items([str(tmp_path), str(shard)], left_out=left_out))) == 2
    assert left_out == {".txt": 2, "without an ending": 1, ".tar": 1, ".json": 1}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_manifest_passes_its_own_columns_through(inputs, tmp_path, kind):
    path = tmp_path / f"list.{kind}"
    film = str(inputs / "film.mp4")
    rows = {"uri": [film, film], "start": ["0", "1.5"], "end": ["1.5", ""], "site": ["A", "B"]}
    if kind == "csv":
        lines = [",".join(rows), *(",".join(cells) for cells in zip(*rows.values(), strict=True))]
        path.write_text("\ufeff" + "\n".join(lines))
    else:
        pq.write_table(pa.table(rows), path)
    items = list(find_items([str(path)]))
    assert [(item.start, item.end, item.extra) for item in items] == [
        (0.0, 1.5, (("site", "A"),)),
        (1.5, None, (("site", "B"),)),
    ]
    assert items[0].identity("x") != items[1].identity("x")


def test_identity_follows_the_content(inputs):
    (item,) = find_items([str(inputs / "0.png")])
    assert item.identity("x") == item._replace().identity("x")
    changed = [item._replace(size=1), item._replace(stamp="1"), item._replace(start=1.0), item._replace(uri="u")]
    assert len({item.identity("x"), item.identity("y"), *(one.identity("x") for one in changed)}) == 6


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path\na.png\n", "needs a column 'uri', and this one has: path"),
        ("uri,uri\na,b\n", "the column 'uri' occurs twice"),
        ("uri,id\na.png,1\nb.png,1\n", "the id '1' occurs twice"),
        ("uri\n\n", "no picture and no video in it"),
        ("uri,start\na.mp4,soon\n", "line 2: the start is 'soon'"),
        ("uri,start,end\na.mp4,5,3\n", "line 2: it ends at 3 s, which is not after its start at 5 s"),
        ("uri,id\na.png\n", "line 2: 1 cells, and the header has 2"),
        ("uri,id\n,1\n", "line 2: the uri is empty"),
        ("", "needs a column 'uri'"),
    ],
)
def test_a_wrong_manifest_is_one_sentence(tmp_path, text, says):
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(BulkError, match=r"list\.csv") as error:
        list(find_items([str(path)]))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("nowhere", "no such file or folder"),
        ("nowhere/*.png", "nothing has a name of this pattern"),
        ("nowhere.tar", "no such file"),
        ("nowhere.csv", "No such file"),
        ("shard.tar.gz", "a compressed shard cannot be read from the middle"),
        ("strange://bucket", "nothing that is installed reads such addresses"),
        ("memory://none", "no such bucket, folder or file"),
        ("", "an input's name is empty"),
    ],
)
def test_a_wrong_input_is_one_sentence(given, says):
    with pytest.raises(BulkError, match=says) as error:
        list(find_items([given]))
    assert "\n" not in str(error.value)
