"""Nets of every kind as modules, built from a NetSpec and named as `analysis.specs.plan` says.

One module, one call site, and nothing in place: hooks, captum and activations are then right by
construction. A net knows its spec; nothing else here knows of data, training or files.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from analysis.specs import NetSpec, plan
from analysis.specs.plan import BlockInfo, LayerInfo


class ZeroPadShortcut(nn.Module):
    """Option A: subsample by the stride, fill the new channels with zeros. No parameters.

    The paper does not say on which side the zeros go: half before and half after, as in the widely
    used CIFAR implementations, or all after, as in fb.resnet.torch (`zeros`).
    """

    def __init__(
        self, c_in: int, c_out: int, stride: int, zeros: Literal["both", "after"] = "both"
    ) -> None:
        super().__init__()
        self.stride = stride
        self.before = (c_out - c_in) // 2 if zeros == "both" else 0
        self.after = c_out - c_in - self.before

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, ceil(H/stride), ceil(W/stride))."""
        subsampled = x[:, :, :: self.stride, :: self.stride]
        return F.pad(subsampled, (0, 0, 0, 0, self.before, self.after))


class ProjectionShortcut(nn.Module):
    """Options B and C: a 1x1 convolution (eqn. 2) and, in post-activation nets, BN."""

    def __init__(self, c_in: int, c_out: int, stride: int, bn: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 1, stride, bias=False)
        self.bn = nn.BatchNorm2d(c_out) if bn else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, ceil(H/stride), ceil(W/stride))."""
        return self.bn(self.conv(x))


class Block(nn.Module):
    """Two 3x3 layers (Fig. 5, left) or 1x1, 3x3, 1x1 (right), with or without a shortcut.

    `F(x)` is the output of the last BN. A residual block gives relu(F(x) + shortcut(x)), a plain
    one relu(F(x)).
    """

    def __init__(self, spec: NetSpec, info: BlockInfo) -> None:
        super().__init__()
        convs = plan.block_convs(spec, info)
        self.depth = len(convs)
        for index, (kernel, c_in, c_out, stride) in enumerate(convs, start=1):
            conv = nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)
            self.add_module(f"conv{index}", conv)
            channels = c_in if info.preactivated else c_out
            self.add_module(f"bn{index}", nn.BatchNorm2d(channels))
            self.add_module(f"relu{index}", nn.ReLU())
        self.shortcut = _shortcut(info)

    def residual(self, x: Tensor) -> Tensor:
        """F(x): (N, c_in, H, W) -> (N, c_out, ceil(H/stride), ceil(W/stride))."""
        for index in range(1, self.depth + 1):
            x = self._modules[f"bn{index}"](self._modules[f"conv{index}"](x))  # type: ignore
            if index < self.depth:
                x = self._modules[f"relu{index}"](x)  # type: ignore
        return x

    def forward(self, x: Tensor) -> Tensor:
        """The block's output H(x), of the shape of `residual(x)`."""
        f = self.residual(x)
        if self.shortcut is not None:
            f = f + self.shortcut(x)
        return self._modules[f"relu{self.depth}"](f)  # type: ignore


class PreactivationBlock(Block):
    """BN, ReLU and convolution, two or three times; gives F(x) + shortcut(x), nothing after.

    He et al. 2016b, "Identity Mappings in Deep Residual Networks", Fig. 4(e). `F(x)` is the output
    of the last convolution. Identity and zero-padding are given x itself, so that it passes on
    unchanged; a projection what comes out of the first BN and ReLU, or x (`projection_input`).
    """

    def __init__(self, spec: NetSpec, info: BlockInfo) -> None:
        super().__init__(spec, info)
        self.projects_activated = info.shortcut == "projection" and info.projects_activated

    def residual(self, x: Tensor) -> Tensor:
        """F(x): (N, c_in, H, W) -> (N, c_out, ceil(H/stride), ceil(W/stride))."""
        return self._after_first(self._activated(x, 1))

    def _after_first(self, activated: Tensor) -> Tensor:
        y = self._modules["conv1"](activated)  # type: ignore
        for index in range(2, self.depth + 1):
            y = self._modules[f"conv{index}"](self._activated(y, index))  # type: ignore
        return y

    def _activated(self, x: Tensor, index: int) -> Tensor:
        return self._modules[f"relu{index}"](self._modules[f"bn{index}"](x))  # type: ignore

    def forward(self, x: Tensor) -> Tensor:
        """The block's output H(x), of the shape of `residual(x)`."""
        activated = self._activated(x, 1)
        f = self._after_first(activated)
        assert self.shortcut is not None
        return f + self.shortcut(activated if self.projects_activated else x)


def _shortcut(info: BlockInfo) -> nn.Module | None:
    match info.shortcut:
        case "identity":
            return nn.Identity()
        case "pad":
            return ZeroPadShortcut(info.c_in, info.c_out, info.stride, info.zeros)
        case "projection":
            return ProjectionShortcut(info.c_in, info.c_out, info.stride, bn=not info.preactivated)
    return None


class Stem(nn.Module):
    """The first layer: 3x3 with stride 1, or 7x7 with stride 2 and a 3x3 max-pool.

    In a pre-activation net it is the convolution alone: the first block begins with BN and ReLU
    (as in He's own code and, with the 7x7 stem, TF-Slim's resnet_v2).
    """

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        kernel, stride = (7, 2) if spec.stem == "imagenet" else (3, 1)
        self.conv = nn.Conv2d(3, spec.width, kernel, stride, padding=kernel // 2, bias=False)
        bare = spec.traits.preactivated
        self.bn = nn.Identity() if bare else nn.BatchNorm2d(spec.width)
        self.relu = nn.Identity() if bare else nn.ReLU()
        self.pool = nn.MaxPool2d(3, 2, padding=1) if spec.stem == "imagenet" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, width, H, W), or (N, width, H/4, W/4) with the ImageNet stem."""
        return self.pool(self.relu(self.bn(self.conv(x))))


class Final(nn.Module):
    """The last BN and ReLU of a pre-activation net, whose last block ends with an addition."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return self.relu(self.bn(x))


class Head(nn.Module):
    """Global average pooling and the linear layer."""

    def __init__(self, c_in: int, classes: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(c_in, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> logits (N, classes)."""
        return self.fc(torch.flatten(self.pool(x), 1))


class Net(nn.Module):
    """A whole net; `stage1`, `stage2`, ... hold `block1`, `block2`, ..."""

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.stem = Stem(spec)
        self.stages = len(spec.blocks)
        infos = plan.blocks(spec)
        block = PreactivationBlock if spec.traits.preactivated else Block
        for stage in range(1, self.stages + 1):
            blocks = [(f"block{i.block}", block(spec, i)) for i in infos if i.stage == stage]
            self.add_module(f"stage{stage}", nn.Sequential(OrderedDict(blocks)))
        ends = spec.traits.preactivated and spec.final == "bn"
        self.final = Final(infos[-1].c_out) if ends else nn.Identity()
        self.head = Head(infos[-1].c_out, spec.classes)
        self.apply(_initialise)

    def features(self, x: Tensor) -> Tensor:
        """The last stage's output: (N, 3, H, W) -> (N, c_out, H', W')."""
        x = self.stem(x)
        for stage in range(1, self.stages + 1):
            x = self._modules[f"stage{stage}"](x)  # type: ignore
        return x

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W), normalised images -> logits (N, classes)."""
        return self.classify(self.features(x))

    def classify(self, features: Tensor) -> Tensor:
        """A block's output with the last stage's channels, (N, c_out, H', W') -> logits."""
        return self.head(self.final(features))


def _initialise(module: nn.Module) -> None:
    """He et al. 2015 (the paper's reference 13), fan-out; BN gamma 1, beta 0; biases 0."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="linear")
        nn.init.zeros_(module.bias)


def build(spec: NetSpec, seed: int | None = None) -> Net:
    """The net of a spec with fresh weights.

    Args:
        spec: the net.
        seed: of the initialisation, leaving the global random state as it was; None: as it comes.
    """
    if seed is None:
        return Net(spec)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Net(spec)


def layers(net: Net) -> list[LayerInfo]:
    """The net's weighted layers in forward order: names, stages, blocks, shapes."""
    return plan.layers(net.spec)
