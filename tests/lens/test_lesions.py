"""Blocks weakened, removed and swapped: known values. pytest tests/lens/test_lesions.py"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from analysis.construct.construction import deepen, inserted_blocks
from analysis.data import Normalizer
from analysis.lens import laboratory, lesions
from analysis.lens.laboratory import Laboratory
from analysis.runs import learned
from analysis.runs.learned import Lesion
from analysis.specs.plan import blocks, removable
from tests.lens.nets import NAMES, image, net

EVERY = [*NAMES, "preresnet-8-w4"]


@pytest.mark.parametrize("name", EVERY)
def test_strength_1_changes_no_bit(name):
    """All branches whole: the logits of the net itself, and of a lesion that names them."""
    made, x = net(name), image(n=5)
    bench = Laboratory(made, x)
    with torch.inference_mode():
        assert torch.equal(bench.intact, made(x))
    whole = Lesion({info.name: 1.0 for info in blocks(made.spec)})
    assert torch.equal(bench.logits(whole), bench.intact)


@pytest.mark.parametrize("name", [n for n in EVERY if not n.startswith("plain")])
def test_a_weakened_block_gives_x_plus_alpha_f(name):
    """Equal to scaling what gives F in a copy of the net: its last BN, or last convolution."""
    made, x = net(name), image(n=3)
    info = blocks(made.spec)[-2]
    found = Laboratory(made, x).logits(Lesion({info.name: 0.25}))
    last = made.get_submodule(info.f)
    with torch.inference_mode():
        last.weight.mul_(0.25)
        if last.bias is not None:
            last.bias.mul_(0.25)
        torch.testing.assert_close(found, made(x), rtol=1e-4, atol=1e-5)


def test_a_removed_block_hands_on_its_input():
    """In a residual block x is never negative, so that the output is x itself."""
    made, x = net("resnet-14-w4"), image(n=3)
    found = Laboratory(made, x).logits(Lesion({"stage2.block2": 0.0}))
    made.get_submodule("stage2").block2 = nn.Identity()
    with torch.inference_mode():
        assert torch.equal(found, made(x))


def test_a_plain_block_is_removed_whole_or_not_at_all():
    """Only where its shapes allow; there is no half of it."""
    made, x = net("plain-14-w4"), image(n=3)
    assert removable(made.spec) == [
        "stage1.block1", "stage1.block2", "stage2.block2", "stage3.block2",
    ]  # fmt: skip
    bench = Laboratory(made, x)
    for wrong in ({"stage2.block1": 0.0}, {"stage1.block1": 0.5}):
        with pytest.raises(ValueError, match="no shortcut"):
            bench.logits(Lesion(wrong))
    found = bench.logits(Lesion({"stage3.block2": 0.0}))
    made.get_submodule("stage3").block2 = nn.Identity()
    with torch.inference_mode():
        assert torch.equal(found, made(x))


@pytest.mark.parametrize("kind", ["plain", "resnet"])
def test_the_inserted_layers_of_a_constructed_net_can_all_be_removed(kind):
    """They are the identity (section 1): not one bit of the logits changes."""
    shallow, x = net(f"{kind}-8-w4"), image(n=3)
    built = deepen(shallow, 20).eval()
    bench = Laboratory(built, x)
    inserted = [info.name for info in inserted_blocks(shallow.spec, built.spec)]
    assert len(inserted) == 6
    assert torch.equal(bench.logits(Lesion(dict.fromkeys(inserted, 0.0))), bench.intact)


def test_what_is_kept_of_the_way_changes_nothing(monkeypatch):
    """With few inputs kept, more is computed anew: the same logits."""
    made, x = net("resnet-14-w4"), image(n=3)
    lesion = Lesion({"stage2.block2": 0.0, "stage3.block1": 0.5})
    many = Laboratory(made, x).logits(lesion)
    monkeypatch.setattr(laboratory, "KEPT_BYTES", 1)
    few = Laboratory(made, x)
    assert len(few._inputs) == 1
    assert torch.equal(few.logits(lesion), many)


def test_swapped_blocks_change_places():
    """As in a net with the modules swapped; blocks of other shapes can't be."""
    made, x = net("resnet-20-w4"), image(n=3)
    bench = Laboratory(made, x)
    found = bench.logits(Lesion(swapped=("stage1.block1", "stage1.block3")))
    stage = made.get_submodule("stage1")
    stage.block1, stage.block3 = stage.block3, stage.block1
    with torch.inference_mode():
        assert torch.equal(found, made(x))
    with pytest.raises(ValueError, match="different shapes"):
        bench.logits(Lesion(swapped=("stage1.block1", "stage2.block2")))


def test_looking_leaves_the_net_as_it_was():
    """No hook stays, and its mode is its own."""
    made = net("resnet-8-w4").train()
    Laboratory(made, image(n=2)).logits(Lesion({"stage1.block1": 0.0}))
    assert made.training
    assert not any(module._forward_hooks for module in made.modules())


def test_errors_are_counted_over_images(monkeypatch):
    """Against argmax by hand, over parts of the images; the draws are the same each time."""
    made = net("resnet-14-w4")
    monkeypatch.setattr(lesions, "PROBE", 8)
    monkeypatch.setattr(lesions, "DRAWS", 2)
    images = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8)
    labels = torch.arange(12) % 10
    normalizer = Normalizer(torch.full((3, 1, 1), 0.5))
    calls = []
    found = lesions.try_lesions(made, images, labels, normalizer, lambda *n: calls.append(n))
    with torch.inference_mode():
        x = normalizer.apply(images)
        wrong = 100 * float((made(x).argmax(1) != labels).double().mean())
    assert found.intact == pytest.approx(wrong)
    by_hand = Laboratory(made, x).logits(Lesion({"stage2.block1": 0.0})).argmax(1)
    assert found.single[2] == pytest.approx(100 * float((by_hand != labels).double().mean()))
    assert found.several.shape == (len(found.counts), lesions.DRAWS)
    assert {tuple(pair) for pair in found.swaps} == {(0, 1)}  # elsewhere the first block strides
    assert calls[-1][0] == calls[-1][1] == len(calls)
    again = lesions.try_lesions(made, images, labels, normalizer)
    np.testing.assert_array_equal(found.several, again.several)


def test_lesions_are_kept_with_the_run(tiny_trained, monkeypatch):
    """And not those of other weights; all test images win over the probe."""
    from analysis.lens.own_images import images_of
    from analysis.weights import load_net

    monkeypatch.setattr(lesions, "DRAWS", 2)
    images, origin = images_of(tiny_trained)
    source = images.subset(test=12), origin
    assert learned.read_lesions(tiny_trained) is None
    loaded = load_net(tiny_trained)
    made = lesions.make_lesions(tiny_trained, *loaded, source=source)
    kept = learned.read_lesions(tiny_trained)
    assert kept.origin.is_own(tiny_trained)
    assert kept.names == made.names
    np.testing.assert_array_equal(kept.single, made.single)
    source = images.subset(test=14), origin
    lesions.make_lesions(tiny_trained, *loaded, source=source, whole=True)
    assert learned.read_lesions(tiny_trained).n_images == 14
