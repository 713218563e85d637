"""How a file's input was normalized, where the file itself says it: buffers, or values beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from analysis.data import Normalizer
from analysis.errors import ImportRefused
from analysis.exchange.importing.layouts import split_key
from analysis.weights import NORMALIZER

_MEANS = ("mean", "_mean", "pixel_mean", "mu", "image_mean")
_STDS = ("std", "_std", "pixel_std", "sigma", "image_std")


def normalizer_keys(keys: Iterable[str]) -> set[str]:
    """Keys by which files call what their input is normalized with."""
    return {
        key for key in keys if key.startswith(NORMALIZER) or split_key(key)[1] in _MEANS + _STDS
    }


def own_normalizer(tensors: Mapping[str, Tensor]) -> Normalizer | None:
    """The mean and deviation of three colours among the tensors; None where there are none.

    Raises:
        ImportRefused: they are there, but are none of three colours.
    """
    mean, std = tensors.get(NORMALIZER + "mean"), tensors.get(NORMALIZER + "std")
    if mean is not None:
        return _of_ours(mean, std)
    found = {}
    for key, value in tensors.items():
        path, leaf = split_key(key)
        for kind, names in (("mean", _MEANS), ("std", _STDS)):
            if leaf in names and value.numel() == 3 and value.is_floating_point():
                found.setdefault((path, kind), value.float().view(3, 1, 1))
    for path, kind in list(found):
        mean, std = found.get((path, "mean")), found.get((path, "std"))
        if kind == "mean" and mean is not None and std is not None and bool((std > 0).all()):
            scale = 255.0 if float(mean.max()) > 2 or float(std.max()) > 2 else 1.0
            return Normalizer(mean / scale, std / scale)
    return None


def _of_ours(mean: Tensor, std: Tensor | None) -> Normalizer:
    shaped = mean.dim() == 3 and mean.shape[0] == 3 and max(mean.shape[1:]) <= 512
    if not shaped or not mean.isfinite().all():
        raise ImportRefused("its normalizer.mean is not of 3 colours, or not finite")
    if std is not None and (std.shape != (3, 1, 1) or not bool((std > 0).all())):
        raise ImportRefused("its normalizer.std is not of 3 colours, or not above 0")
    return Normalizer(mean, std)


def said_beside(facts: Mapping[str, Any]) -> str | None:
    """`R,G,B/R,G,B` where the file keeps a list `mean` and a list `std` beside its weights."""
    mean, std = facts.get("mean"), facts.get("std")
    if not isinstance(mean, list) or not isinstance(std, list) or min(std) <= 0:
        return None
    scale = 255.0 if max(mean) > 2 or max(std) > 2 else 1.0
    colours = (",".join(repr(value / scale) for value in values) for values in (mean, std))
    return "/".join(colours)
