"""Refinements of real nets have the values known from theory (DESIGN, section 5)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.nets import Net, build
from analysis.responses import record
from analysis.responses.recorder import Recorder
from analysis.specs import NetSpec
from analysis.specs.plan import blocks
from tests.lens.nets import image

KINDS = ("resnet-8-w4", "resnet-8-w4-B", "preresnet-8-w4", "resnet-50-w4")


def at_initialisation(net: Net, x: torch.Tensor) -> pd.DataFrame:
    """The `refinement` table of untrained weights, by the batch's own statistics: BN's running
    ones are of no data yet, so in evaluation mode such a net is one without BN."""
    net.train()
    with torch.no_grad(), Recorder(net) as recorder:
        net(x)
    return recorder.refinement()


@pytest.mark.parametrize("name", KINDS)
def test_without_f_the_ratio_is_0_and_the_cosine_1(name):
    """The last layer of each branch gives zero, so a block hands on what it was given."""
    net = build(NetSpec.parse(name), seed=0)
    for info in blocks(net.spec):
        torch.nn.init.zeros_(net.get_submodule(info.f).weight)
    table = record(net, image(n=4)).refinement
    np.testing.assert_array_equal(table["ratio"], 0)
    np.testing.assert_allclose(table["cosine"], 1, rtol=1e-6)


@pytest.mark.parametrize("name", [*KINDS, "resnet-20-w4"])
def test_the_last_scale_scales_the_ratio(name):
    """gamma of a branch's last BN (or its last convolution's weight) times c: the ratio times c."""
    net = build(NetSpec.parse(name), seed=0)
    x, info = image(n=4), blocks(NetSpec.parse(name))[-1]
    before = record(net, x).refinement["ratio"].iloc[-1]
    with torch.no_grad():
        net.get_submodule(info.f).weight.mul_(0.3)
    assert record(net, x).refinement["ratio"].iloc[-1] == pytest.approx(0.3 * before)


@pytest.mark.parametrize(("name", "begins"), [("resnet-56", 2), ("preresnet-56", 1)])
def test_at_initialisation_the_law_tells_the_ratio(name, begins):
    """1/sqrt(v + l - 1) is within 10 % of what is measured, in each stage.

    v is measured where the stage begins. In ResNet's first stage that is the second block: before
    it, F is larger than x, and the ReLU after the addition takes off a part that v can't know. A
    pre-activation F ends with a convolution, whose mean square varies with its weights: the mean
    over eight seeds is meant.
    """
    seeds = [at_initialisation(build(NetSpec.parse(name), s), image(n=16)) for s in range(8)]
    table = seeds[0].assign(**{c: sum(t[c] for t in seeds) / 8 for c in ("rms_x", "ratio")})
    for stage, rows in table.groupby("stage"):
        start = begins if stage == 1 else 1
        known = rows[rows["block"] >= start]
        law = 1 / np.sqrt(known["rms_x"].iloc[0] ** 2 + known["block"] - start)
        np.testing.assert_allclose(law[1:], known["ratio"][1:], rtol=0.1)
        assert known["ratio"].iloc[-1] < known["ratio"].iloc[1]


def test_deeper_nets_begin_with_smaller_refinements():
    """What the architecture gives, before any training."""
    medians = [
        at_initialisation(build(NetSpec.parse(f"resnet-{depth}-w4"), 0), image(n=8))[
            "ratio"
        ].median()
        for depth in (20, 56, 110)
    ]
    assert medians[0] > 1.3 * medians[1] > 1.3**2 * medians[2]
