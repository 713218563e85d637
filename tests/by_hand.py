"""A net's forward pass written by hand: the reference for whatever looks into a net.

From the papers (He et al. 2016a, sections 3 and 4; 2016b, Fig. 4e), with functions and the net's
tensors only: it knows nothing of the plan or of the modules' code.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from analysis.nets import Net


def by_hand(net: Net, x: Tensor) -> dict[str, Tensor]:
    """Every module's output by path, in evaluation mode, and `<block>.x` and `<block>.total`."""
    spec, state, kept = net.spec, net.state_dict(), {}

    def conv(path: str, y: Tensor, stride: int) -> Tensor:
        weight = state[f"{path}.weight"]
        kept[path] = F.conv2d(y, weight, stride=stride, padding=weight.shape[-1] // 2)
        return kept[path]

    def bn(path: str, y: Tensor) -> Tensor:
        mean, var = state[f"{path}.running_mean"], state[f"{path}.running_var"]
        scale, shift = state[f"{path}.weight"], state[f"{path}.bias"]
        kept[path] = F.batch_norm(y, mean, var, scale, shift)
        return kept[path]

    def relu(path: str, y: Tensor) -> Tensor:
        kept[path] = y.clamp(min=0)
        return kept[path]

    pre = spec.kind == "preresidual"
    y = conv("stem.conv", x, 2 if spec.stem == "imagenet" else 1)
    y = y if pre else relu("stem.relu", bn("stem.bn", y))
    if spec.stem == "imagenet":
        y = F.max_pool2d(y, 3, 2, 1)
    for stage, count in enumerate(spec.blocks, start=1):
        for number in range(1, count + 1):
            b = f"stage{stage}.block{number}"
            stride = 2 if stage > 1 and number == 1 else 1
            strides = [stride, 1]
            if spec.bottleneck:
                strides = [1, stride, 1] if spec.bottleneck_stride == "3x3" else [stride, 1, 1]
            x_in, projected = y, y
            kept[f"{b}.x"] = y
            for i, step in enumerate(strides, start=1):
                if pre:
                    y = relu(f"{b}.relu{i}", bn(f"{b}.bn{i}", y))
                    if i == 1 and spec.projection_input == "activated":
                        projected = y
                    y = conv(f"{b}.conv{i}", y, step)
                else:
                    y = bn(f"{b}.bn{i}", conv(f"{b}.conv{i}", y, step))
                    y = relu(f"{b}.relu{i}", y) if i < len(strides) else y
            total = y
            if spec.shortcut:
                s = _shortcut(spec, b, stride, y, x_in, projected, conv, bn)
                kept[f"{b}.shortcut"] = kept[f"{b}.x"] = s
                total = y + s
            kept[f"{b}.total"] = total
            y = total if pre else relu(f"{b}.relu{len(strides)}", total)
            kept[b] = y
    if pre and spec.final == "bn":
        y = relu("final.relu", bn("final.bn", y))
    kept["head.fc"] = y.mean((2, 3)) @ state["head.fc.weight"].T + state["head.fc.bias"]
    return kept


def _shortcut(spec, b, stride, f, x, projected, conv, bn) -> Tensor:
    changes = f.shape != x.shape
    if spec.shortcut == "C" or (spec.shortcut == "B" and changes):
        s = conv(f"{b}.shortcut.conv", projected, stride)
        return s if spec.kind == "preresidual" else bn(f"{b}.shortcut.bn", s)
    new = f.shape[1] - x.shape[1]
    before = 0 if spec.zeros == "after" else new // 2
    return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, before, new - before))
