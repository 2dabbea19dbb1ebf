"""Networks that other packages bring, and what is said of every network."""

from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest
from torch import nn

from mien.core.errors import MissingExtraError, ModelError, UnknownModelError
from mien.models import registry
from mien.models.registry import ENTRY_POINTS, build, count, network, networks, register, unregister


class Point:
    """An entry point of another package."""

    name, value = "theirs", "their.package:theirs"

    def __init__(self, load):
        self.load = load


@pytest.fixture
def bring(monkeypatch):
    def put(point):
        monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == ENTRY_POINTS else [])

    yield put
    unregister("theirs")


def register_theirs():
    @register("theirs", paper="Theirs 2026")
    def theirs(classes=7):
        """One dense layer."""
        return nn.Sequential(nn.Flatten(), nn.Linear(48 * 48, classes))


def test_a_network_of_another_package_is_found_by_its_entry_point(bring):
    bring(Point(register_theirs))
    assert network("theirs").summary == "One dense layer."
    assert "theirs" in networks()
    assert isinstance(build("theirs", 3)[1], nn.Linear)


def test_what_its_record_does_not_say_is_counted(bring):
    bring(Point(register_theirs))
    found = count(network("theirs"))
    assert (found.trained, found.running) == (48 * 48 * 7 + 7, 0)
    assert count(replace(network("theirs"), trained=1, running=2)).bytes == 12


def test_it_is_among_the_nearest_names_without_being_loaded(bring):
    def load():
        raise AssertionError("it was not asked for")

    bring(Point(load))
    with pytest.raises(UnknownModelError, match="did you mean 'theirs'"):
        network("their")
    assert network("tiny").name == "tiny"


def test_one_that_fails_is_named(bring):
    bring(EntryPoint("broken", "no.such.package:thing", ENTRY_POINTS))
    with pytest.raises(ModelError, match=r"'broken' of no\.such\.package:thing cannot be loaded: No module"):
        network("broken")
    assert network("tiny").name == "tiny"


def test_one_that_registers_nothing_is_named(bring):
    bring(Point(lambda: None))
    with pytest.raises(ModelError, match="registers none of that name"):
        network("theirs")


def test_a_name_is_given_once(bring):
    bring(Point(register_theirs))
    network("theirs")
    with pytest.raises(ValueError, match="the network name 'theirs' is taken"):
        register_theirs()


def test_size_and_multiplications_are_counted_without_computing():
    found = count(network("resezap"))
    assert (found.multiplications, found.bytes) == (16_909_540, 54_480 * 4)
    assert found.cells()[2:] == ("48 x 48", "53,136", "1,344", "16,909,540", "0.22")


def test_a_network_that_needs_more_than_is_installed_is_listed_all_the_same():
    def build(classes=7):
        raise MissingExtraError("torchvision", "backbones", "a torchvision backbone")

    record = network("squeezenet")
    without = replace(record, build=build)
    assert count(without).multiplications is None
    assert count(without).cells()[5] == "–"
    with pytest.raises(MissingExtraError):
        count(replace(without, trained=None))
