"""Attributions equal captum called by hand, keep their promises, and leave the net as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum import attr
from torch.nn import functional as F

from analysis.lens.answers import layered
from analysis.lens.attribution import (
    METHODS,
    attribute,
    default_layer,
    rank_correlation,
    sanity_check,
)
from tests.lens.nets import image, net

LAYER = "stage2.block1"


def by_hand(made, x, method):
    """captum's own call, reduced to (H, W)."""
    module = made.get_submodule(LAYER)
    up = lambda maps: F.interpolate(  # noqa: E731
        maps.sum(1, keepdim=True), (32, 32), mode="bilinear", align_corners=False
    )[0, 0]
    match method:
        case "saliency":
            return attr.Saliency(made).attribute(x, target=3)[0].amax(0)
        case "integrated_gradients":
            return attr.IntegratedGradients(made).attribute(x, target=3, n_steps=50)[0].sum(0)
        case "grad_cam":
            cam = attr.LayerGradCam(made, module)
            return up(cam.attribute(x, target=3, relu_attributions=True))
        case "guided_grad_cam":
            guided = attr.GuidedGradCam(made, module)
            return guided.attribute(x, target=3, interpolate_mode="bilinear")[0].sum(0)
        case "occlusion":
            return attr.Occlusion(made).attribute(
                x, target=3, sliding_window_shapes=(3, 6, 6), strides=(3, 3, 3)
            )[0, 0]
        case "layer_conductance":
            return up(attr.LayerConductance(made, module).attribute(x, target=3, n_steps=20))
    return None


@pytest.mark.filterwarnings("ignore:Setting backward hooks")
@pytest.mark.parametrize("name", ["plain-8-w4", "resnet-8-w4", "preresnet-8-w4"])
@pytest.mark.parametrize("method", METHODS)
def test_equals_captum_by_hand(name, method):
    """Each method's map is captum's, for a plain and a residual net."""
    made, x = net(name).double(), image().double()
    expected = by_hand(made, x.clone().requires_grad_(), method).detach().numpy()
    found = attribute(made, x, 3, method, LAYER)

    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    assert found.values.shape == (32, 32)
    assert np.abs(found.values).max() > 0
    assert found.layer == (LAYER if layered(method) else "")
    assert found.signed or found.values.min() >= 0


def test_saliency_is_the_gradient():
    """Saliency is the largest absolute gradient over the colours, by autograd alone."""
    made, x = net(), image().requires_grad_()
    (gradient,) = torch.autograd.grad(made(x)[0, 1], x)

    expected = gradient[0].abs().amax(0).numpy()
    assert attribute(made, x, 1, "saliency").values == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("method", ["integrated_gradients", "layer_conductance"])
def test_completeness(method):
    """The values sum to f(x) - f(baseline) within the delta that is reported, and more steps help.

    Sundararajan et al. 2017: completeness; Dhamdhere et al. 2018 for conductance. A layer's maps
    are summed before they are scaled up, so only the input's map is summed here.
    """
    made, x = net().double(), image().double()
    found = attribute(made, x, 2, method, steps=20)
    finer = attribute(made, x, 2, method, steps=400)
    with torch.no_grad():
        difference = float(made(x)[0, 2] - made(torch.zeros_like(x))[0, 2])

    assert found.total == pytest.approx(difference, rel=1e-5)
    assert abs(finer.delta) < 0.01 * abs(difference)
    if method == "integrated_gradients":
        assert found.values.sum() - difference == pytest.approx(found.delta, abs=1e-4)


def test_only_promised_deltas():
    """Methods without completeness report none."""
    for method in ("saliency", "grad_cam", "guided_grad_cam", "occlusion"):
        found = attribute(net(), image(), 0, method)
        assert (found.delta, found.total) == (None, None)


def test_occlusion_finds_the_patch():
    """Where only one corner of the input matters, occlusion is largest there."""
    made = net("plain-8-w4")
    x = torch.zeros(1, 3, 32, 32)
    x[:, :, 2:8, 2:8] = 1.5
    values = np.abs(attribute(made, x, 0, "occlusion").values)

    assert values[:12, :12].sum() > 0.99 * values.sum()


def test_leaves_no_trace():
    """Hooks, modes, gradient flags and gradients are as before, after a failure too."""
    made = net().train()
    made.stem.conv.weight.requires_grad_(False)
    for method in METHODS:
        attribute(made, image(), 0, method)
    with pytest.raises(KeyError):
        attribute(made, image(), 0, "grad_cam", "stage9.block1")
    with pytest.raises(Exception, match=r"target|index|bounds"):
        attribute(made, image(), 10_000, "guided_grad_cam")

    assert all(module.training for module in made.modules())
    flags = {name for name, weights in made.named_parameters() if not weights.requires_grad}
    assert flags == {"stem.conv.weight"}
    assert all(weights.grad is None for weights in made.parameters())
    hooks = [m for m in made.modules() if m._forward_hooks or m._backward_hooks]
    assert hooks == []


def test_default_layer():
    """Grad-CAM looks at the last block unless told otherwise."""
    assert default_layer(net()) == "stage3.block1"
    assert attribute(net(), image(), 0, "grad_cam").layer == "stage3.block1"


def test_sanity_check():
    """The first row is the net with itself; parts are forgotten from the head to the stem."""
    made = net("resnet-8-w4")
    before = {name: value.clone() for name, value in made.state_dict().items()}
    table, maps = sanity_check(made, image(), 1, "saliency")

    assert table["randomised"].tolist() == ["", "head", "stage3", "stage2", "stage1", "stem"]
    assert table["layers"].tolist() == [0, 1, 3, 5, 7, 8]
    assert table["correlation"][0] == 1
    assert table["correlation"][1:].max() < 0.95
    assert len(maps) == len(table)
    assert all(np.isfinite(found.values).all() for found in maps)
    assert all((before[name] == value).all() for name, value in made.state_dict().items())
    again, _maps = sanity_check(made, image(), 1, "saliency")
    assert again["correlation"].tolist() == table["correlation"].tolist()


def test_rank_correlation():
    """Signs don't matter, order does; a constant map has none."""
    a = np.array([[1.0, -2.0], [3.0, 4.0]])

    assert rank_correlation(a, -10 * a) == pytest.approx(1)
    assert rank_correlation(a, 1 / a) == pytest.approx(-1)
    assert np.isnan(rank_correlation(a, np.zeros((2, 2))))
