"""The benchmark of training: its parts add up, and its table tells what was skipped."""

import numpy as np
import pytest
import torch

import train_speed
import train_tables
from mien.models.registry import network


@pytest.fixture(scope="module")
def data():
    return train_speed._pictures(network("resezap").input, 64)


@pytest.fixture(params=["bf16", "fp32"])
def setting(request, monkeypatch):
    """A setting; afterwards, every network that was built must have computed in its precision, and in no other."""
    made, seen = train_speed.build, set()

    def build(name):
        body = made(name)
        body.register_forward_hook(lambda _module, _inputs, logits: seen.add(logits.dtype))
        return body

    monkeypatch.setattr(train_speed, "build", build)
    yield train_speed.Setting(batch=8, precision=request.param, seconds=0.01)
    assert seen == {torch.bfloat16 if request.param == "bf16" else torch.float32}


def test_every_part_of_a_step_is_timed(data, setting):
    steps = train_speed.ours("tiny", data, setting)
    assert len(steps) >= train_speed.LEAST
    assert steps.shape[1] == len(train_speed.PARTS)
    assert (steps > 0).all()


def test_a_dataloader_is_timed_step_by_step(data, setting):
    times = train_speed.theirs("tiny", data, setting, 0)
    assert len(times) >= train_speed.LEAST
    assert min(times) > 0


def test_pictures_arrive_as_the_network_takes_them(data):
    planes, index = train_speed._Pictures(data, network("resezap").input)[3]
    assert planes.shape == (1, 48, 48)
    assert index == data.indices[3]
    assert -2.1 < planes.min() < planes.max() < 2.1  # (0 - 129) / 65 and (255 - 129) / 65
    assert train_speed._Pictures(data, network("resnet18").input)[3][0].shape == (3, 48, 48)


def test_the_table():
    found = {
        "batch": 128,
        "precision": "bf16",
        "device": "cpu",
        "goal": 0.1,
        "rows": [
            {
                "network": "resezap",
                "values": 54_480,
                "images_per_second": 1234.5,
                "share_outside": 0.0823,
                "dataloader_images_per_second": {"0": 345.6, "1": 499.9},
            }
        ],
        "skipped": {"resnet18": "pip install 'mien[backbones]'"},
    }
    assert train_tables.rows(found) == [("`resezap`", "54,480", "1,234", "8.2%", "346", "500")]
    assert "Not measured: `resnet18` (pip install 'mien[backbones]')" in train_tables.note(found)
    assert train_tables.note(found).startswith("Batches of 128 in bf16 on cpu")
    assert np.isclose(train_speed.GOAL, 0.1)
