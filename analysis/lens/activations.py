"""What does each layer do with this image? Predictions, responses, maps and blocks' parts.

Every function is one forward pass that keeps only what it returns, so memory does not grow with
depth. Returns arrays and tables; draws nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from analysis.lens.hooks import lock_of, watching
from analysis.nets import Net
from analysis.responses.recorder import Recorder, evaluating
from analysis.specs import NetSpec
from analysis.specs.plan import BlockInfo, LayerInfo, blocks, layers


@dataclass(frozen=True, eq=False)
class Probe:
    """One image's way through a net."""

    probabilities: np.ndarray
    """(classes,) float64, the softmax of the logits."""
    responses: pd.DataFrame
    """The `responses` table, of this image alone: std over a layer's channels and positions."""
    refinement: pd.DataFrame
    """The `refinement` table, of this image alone; empty for plain nets."""


def probe(net: Net, x: Tensor) -> Probe:
    """Predictions, layer responses and refinement of one image.

    Args:
        net: one of ours.
        x: normalised, (1, 3, H, W).
    """
    with lock_of(net), Recorder(net) as recorder, evaluating(net):
        logits = net(x)[0].cpu().double()
    probabilities = torch.softmax(logits, 0).numpy()
    return Probe(probabilities, recorder.responses(), recorder.refinement())


def top_classes(probabilities: np.ndarray, classes: tuple[str, ...], k: int = 5) -> pd.DataFrame:
    """The k most probable classes: columns rank (from 1), index, class, probability."""
    order = np.argsort(-probabilities, kind="stable")[:k]
    names = [classes[i] if i < len(classes) else str(i) for i in order]
    return pd.DataFrame(
        {
            "rank": np.arange(1, len(order) + 1),
            "index": order,
            "class": names,
            "probability": probabilities[order],
        }
    )


@dataclass(frozen=True, eq=False)
class LayerMaps:
    """A layer's feature maps, float32 (C, H, W) each."""

    layer: LayerInfo
    before: np.ndarray
    """The response: the BN's output, before ReLU and addition (section 4.2); of a layer without a
    BN its own output. A pre-activation layer's BN is the one before it: these are its inputs."""
    after: np.ndarray
    """What the ReLU gives. A residual block's last layer has its shortcut added before that; where
    there is no ReLU (a projection, a pre-activation net's stem) this is `before`."""


def mapped_layers(net: NetSpec) -> list[LayerInfo]:
    """The layers that have feature maps, in forward order: not a linear one without a BN."""
    return [layer for layer in layers(net) if layer.response or layer.role != "head"]


def layer_maps(net: Net, x: Tensor, name: str) -> LayerMaps:
    """The maps of one layer for one image (1, 3, H, W).

    Raises:
        KeyError: no such layer; `mapped_layers` has the names.
    """
    layer = {layer.name: layer for layer in mapped_layers(net.spec)}[name]
    after = layer.activation or layer.maps
    kept = _kept(net, x, [layer.maps, after])
    return LayerMaps(layer, kept[layer.maps], kept[after])


def _kept(net: Net, x: Tensor, names: list[str]) -> dict[str, np.ndarray]:
    """The outputs of modules for one image."""
    kept: dict[str, np.ndarray] = {}

    def keep(name: str):
        return lambda _input, output: kept.__setitem__(name, _array(output))

    with watching(net, {name: keep(name) for name in names}):
        net(x)
    return kept


def _array(value: Tensor) -> np.ndarray:
    return value[0].float().numpy().copy()


@dataclass(frozen=True, eq=False)
class BlockParts:
    """What a block makes of one image, float32 (C, H, W) each; in the order of computation."""

    info: BlockInfo
    x: np.ndarray
    """The block's input as the shortcut hands it on: the input itself, or padded or projected.
    Of a plain block, whose input may have another shape, the input itself."""
    f: np.ndarray
    """F(x): the last BN's output; a pre-activation block's last convolution's."""
    total: np.ndarray
    """x + F(x); F(x) in plain blocks."""
    out: np.ndarray
    """The block's output H(x): after the last ReLU; `total` where there is none."""

    @property
    def ratio(self) -> float:
        """rms(F) / rms(x): the size of the refinement; nan where x is zero or of another shape."""
        if self.info.shortcut == "none":
            return float("nan")
        rms_x = _rms(self.x)
        return _rms(self.f) / rms_x if rms_x else float("nan")

    @property
    def cosine(self) -> float:
        """Of x and x + F(x): 1 where the block changes no direction."""
        a, b = self.x.astype(np.float64).ravel(), self.total.astype(np.float64).ravel()
        if self.info.shortcut == "none":
            return float("nan")
        lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(a @ b) / lengths if lengths else float("nan")

    @property
    def ratio_map(self) -> np.ndarray:
        """The same at each position, over channels: float64 (H, W); nan where x is zero."""
        x, f = (np.sqrt(np.square(part, dtype=np.float64).mean(0)) for part in (self.x, self.f))
        return np.divide(f, x, out=np.full_like(f, np.nan), where=x > 0)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def block_parts(net: Net, x: Tensor, name: str) -> BlockParts:
    """x, F(x), their sum and its ReLU in one block, for one image (1, 3, H, W).

    Args:
        net: one of ours.
        x: normalised.
        name: the block's path, `stage1.block3`.

    Raises:
        KeyError: no such block.
    """
    info = {info.name: info for info in blocks(net.spec)}[name]
    kept: dict[str, np.ndarray] = {}

    def around(before: Tensor, after: Tensor) -> None:
        kept.setdefault("x", _array(before))
        kept.setdefault("total", _array(after))
        kept["out"] = _array(after)

    takes = {
        info.f: lambda _in, out: kept.__setitem__("f", _array(out)),
        info.output: around,
    }
    if info.last_relu:
        takes[info.last_relu] = lambda total, _out: kept.__setitem__("total", _array(total))
    if info.x:
        takes[info.x] = lambda _in, out: kept.__setitem__("x", _array(out))
    with watching(net, takes):
        net(x)
    return BlockParts(info, **kept)


@dataclass(frozen=True, eq=False)
class StageRow:
    """The strongest channels at the end of a stage."""

    stage: int
    """From 1."""
    block: str
    """The stage's last block."""
    channels: np.ndarray
    """Their indices, the one with the largest std first."""
    maps: np.ndarray
    """The block's output, float32 (k, H, W)."""


def strongest_channels(net: Net, x: Tensor, k: int = 8) -> list[StageRow]:
    """From low-level to high-level features: the k channels that vary most in each stage."""
    last = {info.stage: info.output for info in blocks(net.spec)}
    kept = _kept(net, x, list(last.values()))
    rows = []
    for stage, name in last.items():
        order = np.argsort(-kept[name].std((1, 2)), kind="stable")[:k]
        rows.append(StageRow(stage, name, order, kept[name][order]))
    return rows


def all_activations(net: Net, x: Tensor) -> dict[str, np.ndarray]:
    """Every layer's response and activation by module path, in forward order, for one image.

    BN paths (`stage1.block1.bn2`) are responses before ReLU, `relu` paths activations,
    `shortcut` paths what is added, `head.fc` the logits, and so the paths of convolutions without
    a BN their output. float32, without the batch axis.
    """
    names = []
    for layer in layers(net.spec):
        names += [layer.response, layer.activation]
        names += [layer.name] if layer.role == "head" or not layer.response else []
    names += [info.x for info in blocks(net.spec)]
    return _kept(net, x, [name for name in names if name])


def channel_table(maps: np.ndarray) -> pd.DataFrame:
    """A row a channel of maps (C, H, W): mean, std, extremes, percent of positions above zero."""
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    return pd.DataFrame(
        {
            "channel": np.arange(len(flat)),
            "mean": flat.mean(1),
            "std": flat.std(1),
            "min": flat.min(1),
            "max": flat.max(1),
            "positive_percent": 100 * (flat > 0).mean(1),
        }
    )
