"""Which pixels does a prediction rest on? Six of captum's methods, asked the same way.

All are for one image and one class, and give a map of the input's height and width. Where a
method needs a baseline it is the normalised zero image: the mean of the training images. Knows
nothing of pages; every call has the net to itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from analysis.lens.answers import Attribution, Method, layered, patch
from analysis.lens.hooks import lock_of
from analysis.nets import Net
from analysis.specs.plan import blocks

IG_STEPS = 50
CONDUCTANCE_STEPS = 20
COPIES = 25
"""Of an image of 32 pixels that pass at once: with 16 it takes a fifth longer, more gain little."""


def _at_once(x: Tensor) -> int:
    """Copies of an input (1, C, H, W) that pass together: fewer of a large one, for its memory."""
    return max(COPIES * 32 * 32 // (x.shape[2] * x.shape[3]), 10)


def default_layer(net: Net) -> str:
    """Where Grad-CAM looks at first: the last block (Selvaraju et al. 2017)."""
    return blocks(net.spec)[-1].name


def attribute(
    net: Net,
    x: Tensor,
    target: int,
    method: Method,
    layer: str = "",
    steps: int | None = None,
) -> Attribution:
    """The attribution of one class for one image.

    Args:
        net: one of ours, uncompiled; used in evaluation mode and left as it was.
        x: normalised, (1, 3, H, W).
        target: index of the class.
        method: one of `Method`.
        layer: module path, for the methods that look at one; the last block by default.
        steps: of the integral, for the methods that have one.

    Raises:
        KeyError: no such method or layer.
    """
    layer = (layer or default_layer(net)) if layered(method) else ""
    module = dict(net.named_modules())[layer] if layer else net
    with lock_of(net), _still(net), torch.enable_grad():
        found = METHODS[method](net, x.detach().clone().requires_grad_(), target, module, steps)
        total = _total(net, x, target) if found.delta is not None else None
    values = found.values.detach().float().cpu().numpy().copy()
    return Attribution(method, target, layer, values, found.signed, found.delta, total)


@contextmanager  # ty: ignore[deprecated]
def _still(net: nn.Module) -> Iterator[None]:
    """Evaluation mode; no gradients are kept for the weights."""
    modes = [(module, module.training) for module in net.modules()]
    wanted = [(weights, weights.requires_grad) for weights in net.parameters()]
    net.eval()
    try:
        for weights, _flag in wanted:
            weights.requires_grad_(False)
        yield
    finally:
        for weights, flag in wanted:
            weights.requires_grad_(flag)
        for module, mode in modes:
            module.training = mode


def _total(net: Net, x: Tensor, target: int) -> float:
    with torch.no_grad():
        both = net(torch.cat([x, torch.zeros_like(x)]))[:, target].cpu().double()
    return float(both[0] - both[1])


@dataclass(frozen=True)
class _Found:
    values: Tensor
    signed: bool
    delta: float | None = None


def _captum() -> Any:
    """Its module of attributions, which takes a second to load: only where one is computed."""
    from captum import attr

    return attr


def _saliency(net: Net, x: Tensor, target: int, _module: nn.Module, _steps: int | None) -> _Found:
    gradient = _captum().Saliency(net).attribute(x, target=target, abs=True)
    return _Found(gradient[0].amax(0), signed=False)


def _integrated(net: Net, x: Tensor, target: int, _module: nn.Module, steps: int | None) -> _Found:
    values, delta = (
        _captum()
        .IntegratedGradients(net)
        .attribute(
            x,
            target=target,
            n_steps=steps or IG_STEPS,
            internal_batch_size=_at_once(x),
            return_convergence_delta=True,
        )
    )
    return _Found(values[0].sum(0), signed=True, delta=float(delta[0]))


def _grad_cam(net: Net, x: Tensor, target: int, module: nn.Module, _steps: int | None) -> _Found:
    cam = _captum().LayerGradCam(net, module).attribute(x, target=target, relu_attributions=True)
    return _Found(_enlarged(cam, x), signed=False)


def _guided(net: Net, x: Tensor, target: int, module: nn.Module, _steps: int | None) -> _Found:
    with warnings.catch_warnings():  # captum warns of the hooks that the method is
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        values = (
            _captum()
            .GuidedGradCam(net, module)
            .attribute(x, target=target, interpolate_mode="bilinear")
        )
    return _Found(values[0].sum(0), signed=True)


def _occlusion(net: Net, x: Tensor, target: int, _module: nn.Module, _steps: int | None) -> _Found:
    window, stride = patch(x.shape[-1])
    with torch.no_grad():
        values = (
            _captum()
            .Occlusion(net)
            .attribute(
                x,
                target=target,
                sliding_window_shapes=(x.shape[1], window, window),
                strides=(x.shape[1], stride, stride),
                baselines=0,
                perturbations_per_eval=_at_once(x),
            )
        )
    return _Found(values[0].mean(0), signed=True)  # captum repeats one value over the colours


def _conductance(net: Net, x: Tensor, target: int, module: nn.Module, steps: int | None) -> _Found:
    values, delta = (
        _captum()
        .LayerConductance(net, module)
        .attribute(
            x, target=target, n_steps=steps or CONDUCTANCE_STEPS, return_convergence_delta=True
        )
    )
    return _Found(_enlarged(values, x), signed=True, delta=float(delta[0]))


def _enlarged(maps: Tensor, x: Tensor) -> Tensor:
    """(1, C, h, w) -> (H, W): summed over channels, then scaled up bilinearly."""
    summed = maps.detach().sum(1, keepdim=True)
    return F.interpolate(summed, x.shape[2:], mode="bilinear", align_corners=False)[0, 0]


METHODS: dict[str, Callable[[Net, Tensor, int, nn.Module, int | None], _Found]] = {
    "saliency": _saliency,
    "integrated_gradients": _integrated,
    "grad_cam": _grad_cam,
    "guided_grad_cam": _guided,
    "occlusion": _occlusion,
    "layer_conductance": _conductance,
}


SANITY_COLUMNS = ("randomised", "layers", "correlation")


def sanity_check(
    net: Net, x: Tensor, target: int, method: Method, layer: str = "", seed: int = 0
) -> tuple[pd.DataFrame, list[Attribution]]:
    """Does the map change when the net forgets? (Adebayo et al. 2018, cascading randomisation.)

    The head's weights are drawn anew, then also the last stage's, and so on to the stem. A map
    that stays the same does not depend on what was learned. Columns: randomised (the part drawn
    last), layers (weighted layers drawn anew so far), correlation (Spearman's, of absolute values
    with the trained net's map; nan where a map is constant).

    Returns:
        The table, its first row the trained net with itself, and the map of each row.
    """
    changed = deepcopy(net).eval()
    maps = [attribute(net, x, target, method, layer)]
    rows = [("", 0, 1.0)]
    count = 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = ["head", *(f"stage{i}" for i in range(net.stages, 0, -1)), "stem"]
        _forget(changed, changed.final, x)  # a BN alone, with the head that it stands before
        for part in parts:
            count += _forget(changed, changed.get_submodule(part), x)
            maps.append(attribute(changed, x, target, method, layer))
            rows.append((part, count, rank_correlation(maps[0].values, maps[-1].values)))
    return pd.DataFrame(rows, columns=list(SANITY_COLUMNS)), maps


def _forget(net: Net, part: nn.Module, x: Tensor) -> int:
    """Draw a part's weights anew, and count its convolutions and linear layers."""
    layers = [m for m in part.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer in layers:
        mode, shape = ("fan_in", "linear") if isinstance(layer, nn.Linear) else ("fan_out", "relu")
        nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity=shape)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    norms = [module for module in part.modules() if isinstance(module, nn.BatchNorm2d)]
    # Statistics of the old weights, or of none, would let a deep net overflow: take the image's.
    for norm in norms:
        norm.reset_parameters()
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        net(torch.cat([x, x.flip(3)]))
    for norm in norms:
        norm.eval()
    return len(layers)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of absolute values; nan where one is constant."""
    ranks = pd.DataFrame({"a": np.abs(a).ravel(), "b": np.abs(b).ravel()}).rank().to_numpy()
    spread = ranks.std(0)
    if not spread.all():
        return float("nan")
    centred = (ranks - ranks.mean(0)) / spread
    return float((centred[:, 0] * centred[:, 1]).mean())
