"""A net's layers as a list, from its NetSpec alone: names, shapes, parameters, multiply-adds.

This is the only place that knows layer names, stages and blocks, and the points where a net can
be read (a layer's response and activation; a block's x, F and output). `nets.build` makes modules
of these names, recorders and figures read them, and complexity needs no torch. Paths count from 1:
`stem.conv`, `stage1.block3.conv2`, `stage2.block1.shortcut.conv`, `head.fc`; a convolution's BN
is its sibling (`stage1.block3.bn2`).

In a pre-activation net a BN and its ReLU stand *before* the convolution of the same number, so
the response of `stage1.block3.conv2` is that of `bn2`, which it is given; the last BN, `final.bn`,
is paired with the linear layer that follows; the stem and projections have no BN of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from analysis.errors import SpecError
from analysis.specs import NetSpec

Role = Literal["stem", "main", "projection", "head"]


@dataclass(frozen=True)
class LayerInfo:
    """One weighted layer."""

    name: str
    """Module path of the convolution or linear layer."""
    bn: str
    """Module path of its BN; empty where it has none."""
    order: int
    """Position on the main path, from 1; a projection has that of its block's last layer."""
    stage: int
    """From 1; 0 for the stem, number of stages + 1 for the head."""
    block: int
    """In its stage, from 1; 0 for stem and head."""
    conv: int
    """In its block, from 1; 0 for a projection, stem.conv is 1."""
    role: Role
    """What it is for; the main path is stem, main and head."""
    kernel: int
    """Height and width in pixels; 1 for the linear layer."""
    c_in: int
    """Input channels."""
    c_out: int
    """Output channels (filters)."""
    stride: int
    """Of the convolution."""
    map_size: int
    """Height and width of its output in pixels; 1 for the linear layer."""
    input_size: int
    """Height and width of its input in pixels."""
    activation: str = ""
    """Module path of the ReLU after its BN (and, in a residual block's last layer, after the
    addition); empty where there is none."""
    preactivated: bool = False
    """Whether its BN is before it, so of its input."""

    @property
    def response(self) -> str:
        """Module path whose output is the layer's response (section 4.2): its BN. Empty: none."""
        return self.bn

    @property
    def maps(self) -> str:
        """Module path whose output is shown as its maps: the response, else its own output."""
        return self.response or self.name

    @property
    def channels(self) -> int:
        """Channels of its maps."""
        return self.c_in if self.preactivated else self.c_out

    @property
    def maps_size(self) -> int:
        """Height and width of its maps in pixels."""
        return self.input_size if self.preactivated else self.map_size

    @property
    def block_name(self) -> str:
        """Module path of its block, `stage1.block3`; `stem` or `head` outside of blocks."""
        return f"stage{self.stage}.block{self.block}" if self.block else self.name.split(".")[0]

    @property
    def in_figure_7(self) -> bool:
        """Whether Fig. 7 shows it: a 3x3 layer of the main path."""
        return self.kernel == 3 and self.role in ("stem", "main") and bool(self.response)

    @property
    def parameters(self) -> int:
        """Weights, and the BN's scale and shift or the linear layer's bias."""
        weights = self.kernel**2 * self.c_in * self.c_out
        bias = self.c_out if self.role == "head" else 0
        return weights + bias + (2 * self.channels if self.bn else 0)

    @property
    def multiply_adds(self) -> int:
        """Of one image: the paper's "FLOPs" (Table 1), convolutions and linear layer only."""
        return self.kernel**2 * self.c_in * self.c_out * self.map_size**2


@dataclass(frozen=True)
class BlockInfo:
    """One block: how its layers and its shortcut are shaped."""

    stage: int
    block: int
    c_in: int
    c_mid: int
    c_out: int
    stride: int
    shortcut: Literal["none", "identity", "pad", "projection"]
    """`none` in plain nets; `pad` is option A's zero-padding with subsampling."""
    convs: int
    """Convolutions on its main path: 2, or 3 in a bottleneck."""
    preactivated: bool = False
    """Whether BN and ReLU stand before each convolution, and nothing after the addition."""
    zeros: Literal["both", "after"] = "both"
    """Where `pad` puts its zeros."""
    projects_activated: bool = False
    """Whether a projection is given the block's input after the first BN and ReLU."""

    @property
    def name(self) -> str:
        """Module path: `stage1.block3`."""
        return f"stage{self.stage}.block{self.block}"

    @property
    def x(self) -> str:
        """Module path of the shortcut, whose output is x; empty in plain blocks."""
        return "" if self.shortcut == "none" else f"{self.name}.shortcut"

    @property
    def f(self) -> str:
        """Module path whose output is F(x): the last BN, of a pre-activation block the last
        convolution."""
        return f"{self.name}.{'conv' if self.preactivated else 'bn'}{self.convs}"

    @property
    def last_relu(self) -> str:
        """Module path of the ReLU whose input is x + F(x); empty where nothing follows the sum."""
        return "" if self.preactivated else f"{self.name}.relu{self.convs}"

    @property
    def output(self) -> str:
        """Module path whose output is H(x)."""
        return self.name

    @property
    def keeps_shape(self) -> bool:
        """Whether its output has its input's shape."""
        return self.stride == 1 and self.c_in == self.c_out


def blocks(spec: NetSpec) -> list[BlockInfo]:
    """The blocks of a net in forward order."""
    made = []
    c_in = spec.width
    for stage, count in enumerate(spec.blocks, start=1):
        c_mid = spec.width * 2 ** (stage - 1)
        c_out = 4 * c_mid if spec.bottleneck else c_mid
        for block in range(1, count + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            shortcut = _shortcut(spec, changes=stride > 1 or c_in != c_out)
            made.append(
                BlockInfo(
                    stage, block, c_in, c_mid, c_out, stride, shortcut,
                    convs=3 if spec.bottleneck else 2, preactivated=spec.traits.preactivated,
                    zeros=spec.zeros,
                    projects_activated=spec.traits.preactivated
                    and spec.projection_input == "activated",
                )
            )  # fmt: skip
            c_in = c_out
    return made


def removable(spec: NetSpec) -> list[str]:
    """The blocks that the net can do without, in forward order: they have a shortcut, or keep their
    input's shape."""
    return [info.name for info in blocks(spec) if info.x or info.keeps_shape]


def _shortcut(spec: NetSpec, changes: bool) -> Literal["none", "identity", "pad", "projection"]:
    if not spec.traits.has_shortcuts:
        return "none"
    if spec.shortcut == "C" or (changes and spec.shortcut == "B"):
        return "projection"
    return "pad" if changes else "identity"


def block_convs(spec: NetSpec, block: BlockInfo) -> list[tuple[int, int, int, int]]:
    """(kernel, c_in, c_out, stride) of each convolution on a block's main path."""
    if not spec.bottleneck:
        return [(3, block.c_in, block.c_mid, block.stride), (3, block.c_mid, block.c_out, 1)]
    first, second = (block.stride, 1) if spec.bottleneck_stride == "1x1" else (1, block.stride)
    return [
        (1, block.c_in, block.c_mid, first),
        (3, block.c_mid, block.c_mid, second),
        (1, block.c_mid, block.c_out, 1),
    ]


def layers(spec: NetSpec, image_size: int | None = None) -> list[LayerInfo]:
    """Every weighted layer in forward order; a projection follows its block's last layer.

    Args:
        spec: the net.
        image_size: height and width of the input in pixels; the stem's own size by default.
    """
    return list(_layers(spec, image_size or spec.image_size))


def _layers(spec: NetSpec, size: int) -> Iterator[LayerInfo]:
    pre = spec.traits.preactivated
    kernel, stride = (7, 2) if spec.stem == "imagenet" else (3, 1)
    size_in, size = size, _halved(size, stride)
    yield LayerInfo(
        "stem.conv", "" if pre else "stem.bn", 1, 0, 0, 1, "stem", kernel, 3, spec.width, stride,
        size, size_in, "" if pre else "stem.relu",
    )  # fmt: skip
    if spec.stem == "imagenet":
        size = _halved(size, 2)  # the 3x3 max-pool
    order = 1
    for info in blocks(spec):
        block_size = size
        for conv, (kernel, c_in, c_out, stride) in enumerate(block_convs(spec, info), start=1):
            size_in, size, order = size, _halved(size, stride), order + 1
            yield LayerInfo(
                f"{info.name}.conv{conv}", f"{info.name}.bn{conv}", order, info.stage, info.block,
                conv, "main", kernel, c_in, c_out, stride, size, size_in,
                f"{info.name}.relu{conv}", pre,
            )  # fmt: skip
        if info.shortcut == "projection":
            yield LayerInfo(
                f"{info.x}.conv", "" if pre else f"{info.x}.bn", order, info.stage, info.block, 0,
                "projection", 1, info.c_in, info.c_out, info.stride,
                _halved(block_size, info.stride), block_size,
            )  # fmt: skip
    c_last = blocks(spec)[-1].c_out
    final = pre and spec.final == "bn"
    yield LayerInfo(
        "head.fc", "final.bn" if final else "", order + 1, len(spec.blocks) + 1, 0, 1, "head", 1,
        c_last, spec.classes, 1, 1, size, "final.relu" if final else "", final,
    )  # fmt: skip


def _halved(size: int, stride: int) -> int:
    return -(-size // stride)


@lru_cache(maxsize=1024)
def parameters(spec: NetSpec) -> int:
    """Trained numbers in all (Table 6)."""
    return sum(layer.parameters for layer in layers(spec))


@lru_cache(maxsize=1024)
def multiply_adds(spec: NetSpec, image_size: int | None = None) -> int:
    """Multiply-adds of one image in all: the paper's "FLOPs" (Table 1)."""
    return sum(layer.multiply_adds for layer in layers(spec, image_size))


def deeper_spec(spec: NetSpec, depth: int) -> NetSpec:
    """The net of another depth that can hold all blocks of this one, checked.

    Raises:
        SpecError: not deeper, of other blocks, or blocks that can't be the identity; says why.
    """
    try:
        deep = replace(spec, depth=depth)
    except SpecError as error:
        raise SpecError(
            "{net} can't be made {depth} layers deep: {reason}",
            net=spec.name,
            depth=depth,
            reason=error,
        ) from error
    if depth <= spec.depth:
        raise SpecError(
            "{depth} layers are not more than the {own} of {net}",
            depth=depth,
            own=spec.depth,
            net=spec.name,
        )
    if deep.bottleneck != spec.bottleneck:
        raise SpecError(
            "{net} and {deep} have different blocks (two 3x3 layers up to depth 34, bottlenecks "
            "from 50): one can't hold the other",
            net=spec.name,
            deep=deep.name,
        )
    if spec.bottleneck and not spec.traits.has_shortcuts:
        raise SpecError(
            "the blocks of {net} narrow to a quarter of their channels, so they can't be the "
            "identity; take a plain net of two-layer blocks or a residual net",
            net=spec.name,
        )
    if blocks(deep)[-1].projects_activated and spec.shortcut == "C":
        raise SpecError(
            "the shortcuts of {net} project what comes out of a ReLU, so its blocks can't be the "
            "identity; take option A or B",
            net=spec.name,
        )
    return deep
