"""What the widely used repositories call the layers of a net, one table.

It writes state dicts in these layouts, and tells on import whose names a file has. Recognition
does not need it: `recognition` goes by shapes and order. Knows no tensors.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Literal

from analysis.specs import NetSpec, plan
from analysis.text import Message

LayoutName = Literal[
    "own", "akamaster", "chenyaofo", "kuangliu", "weiaicunzai", "torchvision", "bearpaw", "unknown"
]


@dataclass(frozen=True)
class Layout:
    """How a repository names the parts of its nets."""

    name: LayoutName
    title: str | Message
    """For people."""
    projection: str = "shortcut"
    head: str = "linear"
    residual_function: bool = False
    """Whether blocks and stem are numbered sequences (weiaicunzai)."""
    stages: tuple[int, ...] = (3, 4)
    """How many stages its nets have."""
    preactivated: tuple[bool, ...] = (False,)
    """Whether BN stands before the convolutions in its nets."""


LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout("own", "Residual Lens", preactivated=(False, True)),
        Layout("akamaster", "akamaster/pytorch_resnet_cifar10", stages=(3,)),
        Layout("chenyaofo", "chenyaofo/pytorch-cifar-models", "downsample", "fc", stages=(3,)),
        Layout("kuangliu", "kuangliu/pytorch-cifar", stages=(4,), preactivated=(False, True)),
        Layout("weiaicunzai", "weiaicunzai/pytorch-cifar100", "shortcut", "fc", True),
        Layout("torchvision", Message("torchvision or timm"), "downsample", "fc", stages=(4,)),
        Layout(
            "bearpaw", "bearpaw/pytorch-classification", "downsample", "fc", preactivated=(True,)
        ),
    )
}
"""By name. akamaster and kuangliu share their names, with three and four stages."""

UNKNOWN = Layout(
    "unknown",
    Message("no repository known here (read by the order and shapes of its layers)"),
)

LEAVES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def split_key(key: str) -> tuple[str, str]:
    """(module path, leaf) of a state dict's key."""
    path, _, leaf = key.rpartition(".")
    return path, leaf


def layout_of(spec: NetSpec, paths: Container[str]) -> tuple[Layout, dict[str, str]]:
    """The layout whose names for this net are all among a file's paths, and those names by ours."""
    for layout in LAYOUTS.values():
        fits = len(spec.blocks) in layout.stages and spec.traits.preactivated in layout.preactivated
        theirs = their_modules(spec, layout)
        if fits and all(path in paths for path in theirs.values()):
            return layout, theirs
    return UNKNOWN, {}


def their_modules(spec: NetSpec, layout: Layout) -> dict[str, str]:
    """Module path in a layout by our module path, for every layer and BN of a net."""
    if layout.name == "own":
        return {path: path for path in _modules(spec)}
    names = {"stem.conv": "conv1", "stem.bn": "bn1", "final.bn": "bn", "head.fc": layout.head}
    if layout.residual_function:
        names |= {"stem.conv": "conv1.0", "stem.bn": "conv1.1"}
    return {path: names.get(path) or _theirs(path, layout) for path in _modules(spec)}


def _modules(spec: NetSpec) -> list[str]:
    return [path for layer in plan.layers(spec) for path in (layer.name, layer.bn) if path]


def _theirs(path: str, layout: Layout) -> str:
    stage, block, part = path.split(".", 2)
    number, index = int(stage.removeprefix("stage")), int(block.removeprefix("block")) - 1
    start = f"conv{number + 1}_x" if layout.residual_function else f"layer{number}"
    if part.startswith("shortcut."):
        part = f"{layout.projection}.{('conv', 'bn').index(part.split('.')[1])}"
    elif layout.residual_function:
        kind, position = part[:-1], int(part[-1])
        part = f"residual_function.{3 * (position - 1) + ('conv', 'bn').index(kind)}"
    return f"{start}.{index}.{part}"
