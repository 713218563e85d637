"""Activations equal a forward pass written by hand, and looking leaves no trace in the net."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from analysis.lens import activations, answers
from analysis.lens.hooks import watching
from analysis.nets import layers
from analysis.specs.plan import blocks
from tests.by_hand import by_hand
from tests.lens.nets import NAMES, image, net


def forward(made, x):
    """Every response, activation, block input and sum of one image by name, without its modules."""
    with torch.no_grad():
        return {name: value[0].numpy() for name, value in by_hand(made, x).items()}


def close(found, expected):
    """Equal to 1e-6, or to 1e-6 of the largest value where that is above 1."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("name", NAMES)
def test_activations_equal_a_hand_written_forward(name):
    """Every layer before and after its ReLU, to 1e-6 of a float64 forward pass by hand."""
    made, x = net(name).double(), image().double()  # so that rounding hides nothing
    expected = forward(made, x)
    found = activations.all_activations(made, x)

    for path, values in found.items():
        close(values, expected[path])
    maps = activations.layer_maps(made, x, "stage1.block1.conv1")
    close(maps.before, expected["stage1.block1.bn1"])
    close(maps.after, expected["stage1.block1.relu1"])
    stem = activations.layer_maps(made, x, "stem.conv")
    has_bn = "stem.bn" in expected
    close(stem.before, expected["stem.bn" if has_bn else "stem.conv"])
    close(stem.after, expected["stem.relu" if has_bn else "stem.conv"])


@pytest.mark.parametrize("name", NAMES)
def test_block_parts_equal_a_hand_written_forward(name):
    """x, F(x), their sum and its ReLU, their ratio and cosine, in every block."""
    made, x = net(name).double(), image().double()  # so that rounding hides nothing
    expected = forward(made, x)
    for info in blocks(made.spec):
        parts = activations.block_parts(made, x, info.name)
        f, shortcut = expected[info.f], expected[f"{info.name}.x"]
        total = expected[f"{info.name}.total"]

        close(parts.f, f)
        close(parts.x, shortcut)
        close(parts.total, total)
        close(parts.out, total if made.spec.traits.preactivated else np.maximum(total, 0))
        if info.shortcut == "none":
            assert np.isnan([parts.ratio, parts.cosine]).all()
        else:
            ratio = np.sqrt((f**2).mean() / (shortcut**2).mean())
            cosine = (shortcut * total).sum() / np.sqrt((shortcut**2).sum() * (total**2).sum())
            assert [parts.ratio, parts.cosine] == pytest.approx([ratio, cosine], rel=1e-5)


@pytest.mark.parametrize("name", ["resnet-8-w4", "preresnet-8-w4"])
def test_probe(name):
    """Probabilities are the softmax of the net's logits; responses are the maps' stds."""
    made, x = net(name), image()
    found = activations.probe(made, x)
    with torch.no_grad():
        expected = torch.softmax(made(x)[0].double(), 0).numpy()

    assert found.probabilities == pytest.approx(expected, rel=1e-6)
    stds = [activations.layer_maps(made, x, name).before.std() for name in found.responses["layer"]]
    assert found.responses["std"].to_numpy() == pytest.approx(stds, rel=1e-5)
    parts = activations.block_parts(made, x, "stage2.block1")
    row = found.refinement.set_index("block_name").loc["stage2.block1"]
    assert row[["ratio", "cosine"]].tolist() == pytest.approx([parts.ratio, parts.cosine], rel=1e-5)


def test_top_classes():
    """The most probable first, with their names; fewer than k where there are fewer."""
    table = answers.top_classes(np.array([0.1, 0.7, 0.2]), ("a", "b", "c"))

    assert table["class"].tolist() == ["b", "c", "a"]
    assert table["rank"].tolist() == [1, 2, 3]


def test_strongest_channels():
    """Each stage's last block, by descending std."""
    made, x = net("resnet-8-w8"), image()
    rows = activations.strongest_channels(made, x, k=3)

    assert [row.block for row in rows] == ["stage1.block1", "stage2.block1", "stage3.block1"]
    out = activations.block_parts(made, x, "stage3.block1").out
    assert (rows[2].maps == out[rows[2].channels]).all()
    stds = rows[2].maps.std((1, 2))
    assert (np.diff(stds) <= 0).all()
    assert stds[0] == out.std((1, 2)).max()


def test_channel_table():
    """Mean, std, extremes and the part above zero of a channel computed by hand."""
    table = answers.channel_table(np.array([[[1.0, -1.0], [3.0, 1.0]]], np.float32))

    assert table.iloc[0].tolist() == [0, 1.0, np.sqrt(2.0), -1.0, 3.0, 75.0]


def test_nothing_stays_behind():
    """No hook, no mode and no gradient flag differs after a look, or after one that failed."""
    made = net().train()
    activations.probe(made, image())
    activations.layer_maps(made, image(), "stem.conv")
    with pytest.raises(KeyError), watching(made, {"no.such": print}):
        pass
    with pytest.raises(RuntimeError, match="nothing passed stem"), watching(made, {"stem": print}):
        pass

    assert all(module.training for module in made.modules())
    assert not any(module._forward_hooks for module in made.modules())


def test_sessions_do_not_mix():
    """Two threads that look into one shared net at once each see their own image."""
    made = net("resnet-20-w4")
    alone = [activations.layer_maps(made, image(i), "stage3.block3.conv2").before for i in (0, 1)]
    wrong = []

    def look(i):
        for _ in range(15):
            found = activations.layer_maps(made, image(i), "stage3.block3.conv2").before
            wrong.extend([i] if (found != alone[i]).any() else [])

    threads = [threading.Thread(target=look, args=(i,)) for i in (0, 1)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    assert wrong == []
    assert (alone[0] != alone[1]).any()


def test_every_layer_has_maps():
    """The names that a page offers are those of the plan, and each can be asked for."""
    made = net("resnet-8-w4-B")
    names = [layer.name for layer in answers.mapped_layers(made.spec)]

    assert names == [layer.name for layer in layers(made)][:-1]
    for name in names:
        assert activations.layer_maps(made, image(), name).before.ndim == 3
