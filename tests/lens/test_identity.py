"""Fitting the identity: known kernels, known floors, the same result from the same seed."""

from __future__ import annotations

import time

import pandas as pd
import pytest
import torch
from torch import nn

from analysis.construct.identity import (
    Fitter,
    IdentityTask,
    _real_inputs,
    dirac_distance,
    fit_identity,
    sample_tiles,
)
from analysis.errors import SpecError
from analysis.pictures.samples import sample

TINY = IdentityTask(layers=2, width=4, steps=20, size=4, batch=4)


def test_a_dirac_kernel_of_any_scale_is_at_distance_0():
    """And a kernel without the identity's entries at 1; halfway (45 degrees) at sin 45."""
    dirac = nn.init.dirac_(torch.empty(4, 4, 3, 3))
    other = torch.zeros(4, 4, 3, 3)
    other[:, 0, 0, 0] = 1
    assert dirac_distance(3 * dirac) == pytest.approx(0, abs=1e-3)
    assert dirac_distance(other) == 1
    assert dirac_distance(dirac + other) == pytest.approx(0.5**0.5, abs=1e-6)


def test_residual_layers_with_zero_kernels_are_the_identity():
    """Zero without BN: exact at no cost, where the plain net gives 0."""
    task = IdentityTask(layers=4, width=4, bn=False)
    x = torch.rand(2, 4, 5, 5)
    for residual, wanted in ((True, x), (False, torch.zeros_like(x))):
        net = Fitter(task, residual)
        for conv in net.convs:
            nn.init.zeros_(conv.weight)
        assert torch.equal(net(x), wanted)


def test_the_seed_decides_everything():
    """Equal seeds, equal tables to the bit, whatever torch drew before; another seed, others."""
    torch.rand(3)
    first, again = fit_identity(TINY), fit_identity(TINY)
    pd.testing.assert_frame_equal(first.losses, again.losses, check_exact=True)
    pd.testing.assert_frame_equal(first.layers, again.layers, check_exact=True)
    other = fit_identity(IdentityTask(layers=2, width=4, steps=20, size=4, batch=4, seed=1))
    assert not first.losses["loss"].equals(other.losses["loss"])


@pytest.mark.parametrize(("signed", "relu", "floor"), [
    (True, True, 0.5), (False, True, 0.0), (True, False, 0.0)])  # fmt: skip
def test_the_floor_is_what_relu_cuts(signed, relu, floor):
    """Half of a symmetric input's square is negative; no net that ends in ReLU can give it."""
    task = IdentityTask(layers=2, width=4, steps=40, size=8, batch=8, signed=signed, relu=relu)
    assert fit_identity(task).floor == pytest.approx(floor, abs=0.03)


@pytest.mark.parametrize("signed", [True, False])
def test_real_inputs_are_crops_behind_a_random_layer(signed):
    """Without signs none is negative; with them their mean square is near 1; the seed decides."""
    task = IdentityTask(layers=2, width=6, size=5, batch=64, signed=signed, inputs="images")
    first, again = (_real_inputs(task, None)() for _time in range(2))
    assert torch.equal(first, again)
    assert first.shape == (64, 6, 5, 5)
    if signed:
        assert float(first.square().mean()) == pytest.approx(1, rel=0.5)
    else:
        assert float(first.min()) == 0


def test_the_images_given_are_those_fitted():
    """One image gives other losses than the samples; equal images give equal ones to the bit."""
    task = IdentityTask(layers=2, width=4, steps=20, size=4, batch=4, inputs="images")
    image = torch.randint(0, 256, (1, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    fits = [fit_identity(task, images=i) for i in (image.byte(), image.byte(), None)]
    losses = [fit.losses["loss"].tolist() for fit in fits]
    assert losses[0] == losses[1] != losses[2]


def test_images_smaller_than_a_crop_are_refused():
    """A crop of 8 pixels and the layer's border need 10."""
    task = IdentityTask(layers=2, width=4, inputs="images")
    with pytest.raises(SpecError, match="the images have 9 pixels; crops of 10 are taken"):
        fit_identity(task, images=torch.zeros(2, 3, 9, 9, dtype=torch.uint8))


def test_sample_tiles_are_the_photographs():
    """Two of 427 x 640: 13 x 20 whole tiles each, and the first one is the picture's corner."""
    tiles = sample_tiles()
    assert (tuple(tiles.shape), tiles.dtype) == ((520, 3, 32, 32), torch.uint8)
    corner = torch.from_numpy(sample("china").rgb[:32, :32].copy()).permute(2, 0, 1)
    assert torch.equal(tiles[0], corner)


def test_eight_layers_at_500_steps_take_seconds_and_residual_layers_fit_better():
    """The issue's measure on this CPU; the residual net ends below the plain one (section 3.1)."""
    told = []
    began = time.process_time()
    fit = fit_identity(IdentityTask(), progress=lambda step, so_far: told.append((step, so_far)))
    assert time.process_time() - began < 30, "10 s of an idle core; a busy machine gets longer"
    last = fit.losses[fit.losses["step"] == 500].set_index("kind")["loss"]
    assert last["residual"] < last["plain"]
    assert [step for step, _ in told] == list(range(50, 501, 50))
    assert fit.layers["layer"].max() == 8


def test_what_makes_no_sense_is_refused_all_at_once():
    """An odd number of layers and no such optimiser."""
    with pytest.raises(SpecError) as error:
        IdentityTask(layers=3, optimizer="lion")  # type: ignore
    assert str(error.value) == (
        "identity fitting: layers must be even, 2 to 64, not 3; optimizer must be sgd or adam, "
        "not 'lion'"
    )
