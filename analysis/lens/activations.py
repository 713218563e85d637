"""What does each layer do with this image? Predictions, responses, maps and blocks' parts.

Every function is one forward pass that keeps only what it returns, so memory does not grow with
depth. Returns arrays and tables; draws nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from analysis.lens.answers import BlockParts, LayerMaps, Probe, StageRow, mapped_layers
from analysis.lens.hooks import lock_of, watching
from analysis.nets import Net
from analysis.responses.recorder import Recorder, evaluating
from analysis.specs.plan import blocks, layers


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
