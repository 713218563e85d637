"""Readouts are discriminant analysis to scikit-learn's numbers; the last one is the net itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.data import Images, Normalizer
from analysis.lens import readout
from analysis.lens.readout import fit_readouts, forming, places
from analysis.lens.receptive import receptive_fields
from analysis.runs import learned
from analysis.runs.learned import Readouts
from analysis.specs import NetSpec
from tests.lens.nets import net

NORMALIZER = Normalizer(torch.full((3, 32, 32), 0.5))


def images(n=90):
    """Three classes that differ in colour, with noise."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % 3
    pixels = torch.randint(0, 120, (n, 3, 32, 32), generator=generator)
    pixels[torch.arange(n), labels] += 100
    pixels = pixels.byte()
    return Images(pixels, labels, pixels[:30], labels[:30], ("r", "g", "b"), "x")


def test_matches_scikit_learn():
    """The posterior equals LinearDiscriminantAnalysis with the same shrinkage."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    made, data = net("resnet-8-w4"), images()
    fitted = fit_readouts(made, data, NORMALIZER)
    features = readout._pooled(made, NORMALIZER.apply(data.train), ["stage2.block1"])[0].numpy()
    sums = readout._Sums(features.shape[1], 3)
    sums.add(torch.from_numpy(features), data.train_labels)
    weights, bias = sums.solve()
    lda = LinearDiscriminantAnalysis(priors=[1 / 3] * 3)
    lda.fit(features, data.train_labels.numpy())
    logits = torch.from_numpy(features) @ weights + bias

    assert (logits.argmax(1).numpy() == lda.predict(features)).mean() > 0.98
    assert fitted.weights[2][:, :3] == pytest.approx(weights.numpy(), rel=1e-4, abs=1e-4)


def test_places():
    """The stem and every block, by weighted layers passed; the head fits the last stage."""
    found = places(net("plain-18-w4"))

    assert [place.depth for place in found] == [1, 3, 5, 7, 9, 11, 13, 15, 17]
    assert [place.name for place in found if place.has_head] == ["stage4.block1", "stage4.block2"]


@pytest.mark.parametrize("name", ["resnet-8-w4", "preresnet-8-w4"])
def test_forming_ends_at_the_net(name):
    """After the last block the head's probabilities are the net's own."""
    made, x = net(name), NORMALIZER.apply(images().test[:1])
    table = forming(made, x)
    last = table[(table["place"] == "stage3.block1") & (table["source"] == "head")]
    with torch.no_grad():
        expected = torch.softmax(made(x)[0].double(), 0).numpy()

    assert last["probability"].to_numpy() == pytest.approx(expected, rel=1e-5)
    assert set(table["place"]) == {"stage3.block1"}


def test_forming_with_readouts():
    """Every place has a distribution over the classes; classes never seen have none."""
    made, data = net("resnet-8-w4"), images()
    table = forming(made, NORMALIZER.apply(data.test[:1]), fit_readouts(made, data, NORMALIZER))
    sums = table.groupby(["place", "source"])["probability"].sum()

    assert sums.to_numpy() == pytest.approx(np.ones(len(sums)), rel=1e-6)
    assert len(sums) == 5
    read = table[(table["source"] == "readout") & (table["index"] >= 3)]
    assert (read["probability"] == 0).all()
    assert table["accuracy"].dropna().min() > 80


def test_to_file_and_back():
    """Arrays give the same readouts again."""
    fitted = fit_readouts(net("resnet-8-w4"), images(), NORMALIZER)
    again = Readouts.from_arrays(fitted.arrays())

    assert again.names == fitted.names
    for one, other in zip(again.weights, fitted.weights, strict=True):
        assert (one == other).all()


def test_kept_with_the_run(tiny_trained):
    """Fitted once, then read from the run."""
    from analysis.weights import load_net

    assert learned.read_readouts(tiny_trained) is None
    fitted = readout.make_readouts(tiny_trained, *load_net(tiny_trained))
    again = learned.read_readouts(tiny_trained)

    assert again is not None
    assert again.accuracy.tolist() == fitted.accuracy.tolist()


def test_receptive_fields():
    """Known by hand: 3x3 layers add 2, after a stride of 2 they add 4; clipped at the border."""
    fields = receptive_fields(NetSpec.parse("resnet-8-w4"))

    assert fields["stem.conv"].size == 3
    assert fields["stage1.block1.conv2"].size == 7
    assert (fields["stage2.block1.conv1"].size, fields["stage2.block1.conv1"].step) == (9, 2)
    assert fields["stage2.block1.conv2"].size == 13
    assert fields["stem.conv"].box(0, 5, 32) == (0, 4, 2, 7)


def test_receptive_fields_of_a_preactivation_net():
    """A layer's maps are its input there, so it sees what the layer before it sees."""
    pre = receptive_fields(NetSpec.parse("preresnet-8-w4"))
    post = receptive_fields(NetSpec.parse("resnet-8-w4"))

    assert pre["stem.conv"] == post["stem.conv"] == pre["stage1.block1.conv1"]
    assert pre["stage1.block1.conv2"] == post["stage1.block1.conv1"]
    assert pre["stage2.block1.conv2"] == post["stage2.block1.conv1"]
    assert pre["head.fc"] == post["stage3.block1.conv2"]
