"""An exported model that is rebuilt to be trained further: its norms get statistics, its outputs stay."""

import numpy as np
import pytest
import torch

from conftest import draw_face
from mien.models.rebuild import open_exported, restore_norms


def cropped(n=64):
    return np.stack([draw_face(index % 7, seed=index)[:48, :48] for index in range(n)])


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_restored_norms_train_from_where_the_model_stood(name):
    crops = cropped()
    graph = open_exported(name).graph
    seen = torch.tensor(crops)
    for module in graph.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        before = graph(seen)
        folded = graph.train()(seen)  # each norm by the deviation of the batch: not what the model has learnt
    graph = open_exported(name).graph
    restore_norms(graph, crops)
    for module in graph.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        torch.testing.assert_close(graph(seen), before, atol=1e-3, rtol=1e-3)
        in_training = graph.train()(seen)  # the batch is what the statistics were taken from
    torch.testing.assert_close(in_training, before, atol=2e-2, rtol=1e-2)
    assert (folded - before).abs().max() > 10 * (in_training - before).abs().max()


def test_restored_statistics_are_those_of_the_crops():
    crops = cropped()
    graph = open_exported("tiny").graph
    restore_norms(graph, crops)
    norm = next(module for module in graph.modules() if isinstance(module, torch.nn.BatchNorm2d))
    seen = []
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        graph(torch.tensor(crops))
    torch.testing.assert_close(norm.running_mean, seen[0].mean((0, 2, 3)), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(norm.running_var, seen[0].var((0, 2, 3), correction=0), atol=1e-4, rtol=1e-3)
