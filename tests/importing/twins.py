"""Nets of our families as other repositories write them: their names, orders and shortcuts.

Each is the reference implementation of its test: what it computes is written out here, and the
imported net has to give the same logits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.importing.foreign import conv


def cat_zeros(x: Tensor, new: int) -> Tensor:
    """Option A with all zeros after the channels, by concatenation."""
    x = x[:, :, ::2, ::2]
    zeros = torch.zeros(x.shape[0], new, x.shape[2], x.shape[3])
    return torch.cat([x, zeros], 1)


def pad_after(x: Tensor, new: int) -> Tensor:
    """The same by F.pad(..., 0, C)."""
    return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, new))


def pooled_zeros(x: Tensor, new: int) -> Tensor:
    """The same by a 1x1 average pool with stride 2 and x times 0 (D-X-Y's DownsampleA)."""
    x = F.avg_pool2d(x, 1, 2)
    return torch.cat((x, x.mul(0)), 1)


def pad_both(x: Tensor, new: int) -> Tensor:
    """Half before and half after."""
    return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, new // 2, new // 2))


class Block(nn.Module):
    """A two-layer block whose parts have any names, made in any order.

    `names` are those of conv1, bn1, conv2, bn2; `order` the order in which they are registered;
    `project` makes the shortcut's modules, `option_a` its function.
    """

    def __init__(
        self, c_in: int, c: int, stride: int, names: tuple[str, str, str, str],
        order: tuple[int, ...] = (0, 1, 2, 3), shortcut: str = "", option_a: Callable | None = None,
        nested: str = "",
    ) -> None:  # fmt: skip
        super().__init__()
        parts = (conv(c_in, c, 3, stride), nn.BatchNorm2d(c), conv(c, c, 3), nn.BatchNorm2d(c))
        self.parts = [f"{nested}.{name}" if nested else name for name in names]
        holder: nn.Module = nn.Module() if nested else self
        changes = stride != 1 or c_in != c
        self.shortcut_name = shortcut if shortcut and changes else ""
        if self.shortcut_name.startswith("first:"):
            self.shortcut_name = self.shortcut_name.removeprefix("first:")
            self._add_shortcut(c_in, c, stride)
        for place in order:
            holder.add_module(names[place], parts[place])
        if nested:
            self.add_module(nested, holder)
        if self.shortcut_name and self.shortcut_name not in self._modules:
            self._add_shortcut(c_in, c, stride)
        self.option_a, self.new = option_a if changes else None, c - c_in

    def _add_shortcut(self, c_in: int, c: int, stride: int) -> None:
        self.add_module(
            self.shortcut_name, nn.Sequential(conv(c_in, c, 1, stride), nn.BatchNorm2d(c))
        )

    def forward(self, x: Tensor) -> Tensor:
        """relu(F(x) + shortcut(x))."""
        conv1, bn1, conv2, bn2 = (self.get_submodule(name) for name in self.parts)
        f = bn2(conv2(torch.relu(bn1(conv1(x)))))
        if self.shortcut_name:
            x = self.get_submodule(self.shortcut_name)(x)
        elif self.option_a:
            x = self.option_a(x, self.new)
        return torch.relu(f + x)


class Cells(nn.Module):
    """Blocks of `conv_bn_relu1.0`: each layer a sequence of convolution, BN (and ReLU)."""

    def __init__(self, c_in: int, c: int, stride: int) -> None:
        super().__init__()
        self.conv_bn_relu1 = nn.Sequential(conv(c_in, c, 3, stride), nn.BatchNorm2d(c), nn.ReLU())
        self.conv_bn2 = nn.Sequential(conv(c, c, 3), nn.BatchNorm2d(c))
        if stride != 1:
            self.identity_map = nn.Sequential(conv(c_in, c, 1, stride), nn.BatchNorm2d(c))

    def forward(self, x: Tensor) -> Tensor:
        """relu(F(x) + shortcut(x))."""
        f = self.conv_bn2(self.conv_bn_relu1(x))
        return torch.relu(f + (self.identity_map(x) if hasattr(self, "identity_map") else x))


class Net(nn.Module):
    """A CIFAR net of depth 6n+2 whose stem, stages and head have any names."""

    def __init__(
        self, make: Callable[[int, int, int], nn.Module], n: int = 2, *,
        stem: tuple[str, str] = ("conv1", "bn1"), stages: tuple[str, str, str] = ("a", "b", "c"),
        head: str = "fc", head_module: Callable[[int], nn.Module] = lambda c: nn.Linear(c, 10),
        width: int = 16, last_first: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.names, self.head = (stem, stages, head), head
        if last_first:
            self.add_module(head, head_module(4 * width))
        first, bn = conv(3, width, 3), nn.BatchNorm2d(width)
        if "." in stem[0]:
            self.add_module(stem[0].split(".")[0], nn.Sequential(first, bn))
        else:
            self.add_module(stem[0], first)
            self.add_module(stem[1], bn)
        c_in = width
        for index, name in enumerate(stages):
            c = width * 2**index
            blocks = [make(c_in, c, 2 if index else 1), *(make(c, c, 1) for _ in range(n - 1))]
            self.add_module(name, nn.Sequential(*blocks))
            c_in = c
        if not last_first:
            self.add_module(head, head_module(c_in))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        (first, bn), stages, head = self.names
        x = torch.relu(self.get_submodule(bn)(self.get_submodule(first)(x)))
        for stage in stages:
            x = self.get_submodule(stage)(x)
        return self.get_submodule(head)(x.mean((2, 3)))


USUAL = ("conv1", "bn1", "conv2", "bn2")


def _block(names: tuple[str, str, str, str] = USUAL, **options) -> Callable:
    return lambda c_in, c, stride: Block(c_in, c, stride, names, **options)


TWINS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "conv, bn for a stem": (
        lambda: Net(_block(shortcut="downsample"), stem=("conv", "bn"),
                    stages=("layer1", "layer2", "layer3")),
        "resnet-14-B",
    ),
    "conv_1, stage_1.0, conv_a (D-X-Y)": (
        lambda: Net(_block(("conv_a", "bn_a", "conv_b", "bn_b"), option_a=pooled_zeros),
                    stem=("conv_1_3x3", "bn_1"), stages=("stage_1", "stage_2", "stage_3"),
                    head="classifier"),
        "resnet-14-after",
    ),
    "pre_conv, conv_cell.0": (
        lambda: Net(_block(("0", "1", "3", "4"), nested="conv_cell", shortcut="res_cell"),
                    stem=("pre_conv", "pre_bn"), stages=("cells_a", "cells_b", "cells_c"),
                    head="output"),
        "resnet-14-B",
    ),
    "layers_2n, fc_out": (
        lambda: Net(_block(shortcut="project"), stem=("stem_conv", "stem_norm"),
                    stages=("layers_2n", "layers_4n", "layers_6n"), head="fc_out"),
        "resnet-14-B",
    ),
    "conv_bn_relu1.0": (
        lambda: Net(Cells, stem=("head_cell.0", "head_cell.1"), stages=("s1", "s2", "s3")),
        "resnet-14-B",
    ),
    "head fc.1 after dropout": (
        lambda: Net(_block(shortcut="shortcut"),
                    head_module=lambda c: nn.Sequential(nn.Dropout(), nn.Linear(c, 10))),
        "resnet-14-B",
    ),
    "classifier.1": (
        lambda: Net(_block(shortcut="shortcut"), head="classifier",
                    head_module=lambda c: nn.Sequential(nn.Flatten(), nn.Linear(c, 10))),
        "resnet-14-B",
    ),
    "head first, BNs after all convolutions": (
        lambda: Net(_block(order=(0, 2, 1, 3), shortcut="skip"), last_first=True),
        "resnet-14-B",
    ),
    "second layer declared first, by numbers": (
        lambda: Net(_block(order=(2, 3, 0, 1), shortcut="skip")),
        "resnet-14-B",
    ),
    "second layer declared first, by shapes": (
        lambda: Net(_block(("inner", "inner_bn", "outer", "outer_bn"), order=(2, 3, 0, 1),
                           shortcut="skip")),
        "resnet-14-B",
    ),
    "shortcut declared first": (
        lambda: Net(_block(("c_a", "n_a", "c_b", "n_b"), shortcut="first:q")),
        "resnet-14-B",
    ),
    "twelve blocks a stage": (
        lambda: Net(_block(shortcut="down"), n=12, width=4),
        "resnet-74-w4-B",
    ),
}  # fmt: skip
"""Twin and the name of our net."""

OPTION_A: dict[str, tuple[Callable[[Tensor, int], Tensor], str]] = {
    "cat([x, zeros])": (cat_zeros, "resnet-8-after"),
    "pad(..., 0, C)": (pad_after, "resnet-8-after"),
    "both sides": (pad_both, "resnet-8"),
}


def option_a_net(option_a: Callable[[Tensor, int], Tensor]) -> Net:
    """akamaster's names, depth 8, with any option A."""
    return Net(_block(option_a=option_a), 1, stages=("layer1", "layer2", "layer3"), head="linear")


class PreBlock(nn.Module):
    """BN, ReLU, convolution, twice or (bottleneck) three times; projections of either kind."""

    def __init__(
        self, c_in: int, c: int, stride: int, projection: str, raw: bool, bottleneck: bool = False
    ) -> None:
        super().__init__()
        shapes = [(c_in, c, 3, stride), (c, c, 3, 1)]
        if bottleneck:
            shapes = [(c_in, c, 1, 1), (c, c, 3, stride), (c, 4 * c, 1, 1)]
        self.raw, self.depth = raw, len(shapes)
        for index, (ins, outs, kernel, step) in enumerate(shapes, start=1):
            self.add_module(f"bn{index}", nn.BatchNorm2d(ins))
            self.add_module(f"conv{index}", conv(ins, outs, kernel, step))
        c_out = shapes[-1][1]
        self.projection = projection if stride != 1 or c_in != c_out else ""
        if self.projection:
            self.add_module(projection, nn.Sequential(conv(c_in, c_out, 1, stride)))

    def forward(self, x: Tensor) -> Tensor:
        """F(x) + shortcut."""
        y = first = torch.relu(self.bn1(x))
        for index in range(1, self.depth + 1):
            if index > 1:
                y = torch.relu(self.get_submodule(f"bn{index}")(y))
            y = self.get_submodule(f"conv{index}")(y)
        if self.projection:
            x = self.get_submodule(self.projection)(x if self.raw else first)
        return y + x


class PreNet(nn.Module):
    """kuangliu's PreActResNet (no last BN) and bearpaw's preresnet (`bn` at its end)."""

    def __init__(
        self, counts: tuple[int, ...], width: int, projection: str, raw: bool, final: bool,
        head: str, bottleneck: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv1 = conv(3, width, 3)
        self.names, self.head = [], head
        c_in = width
        for index, count in enumerate(counts):
            c = width * 2**index
            blocks = []
            for number in range(count):
                stride = 2 if index and not number else 1
                blocks.append(PreBlock(c_in, c, stride, projection, raw, bottleneck))
                c_in = 4 * c if bottleneck else c
            self.names.append(f"layer{index + 1}")
            self.add_module(self.names[-1], nn.Sequential(*blocks))
        self.bn = nn.BatchNorm2d(c_in) if final else nn.Identity()
        self.final = final
        self.add_module(head, nn.Linear(c_in, 10))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.conv1(x)
        for name in self.names:
            x = self.get_submodule(name)(x)
        x = torch.relu(self.bn(x)) if self.final else x
        return self.get_submodule(self.head)(x.mean((2, 3)))


PREACTIVATED: dict[str, tuple[Callable[[], PreNet], str, str]] = {
    "kuangliu PreActResNet18": (
        lambda: PreNet((2, 2, 2, 2), 8, "shortcut", False, False, "linear"),
        "preresnet-18-w8-B-nofinal", "kuangliu",
    ),
    "kuangliu PreActResNet50": (
        lambda: PreNet((3, 4, 6, 3), 4, "shortcut", False, False, "linear", bottleneck=True),
        "preresnet-50-w4-v1.5-nofinal", "kuangliu",
    ),
    "bearpaw preresnet-14": (
        lambda: PreNet((2, 2, 2), 16, "downsample", True, True, "fc"),
        "preresnet-14-B-raw", "bearpaw",
    ),
}  # fmt: skip
"""Twin, the name of our net, its layout."""
