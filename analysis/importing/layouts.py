"""Which of our layers a foreign key means, in the layouts of the widely used repositories.

Keys are module paths and a leaf. Recognition goes by keys, never by a file's name; the same
table, read the other way, writes state dicts in these layouts. Knows no tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from analysis import plan
from analysis.spec import NetSpec
from analysis.text import Message

LayoutName = Literal[
    "own", "akamaster", "chenyaofo", "kuangliu", "bearpaw", "weiaicunzai", "torchvision", "mixed"
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


LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout("own", "Residual Lens"),
        Layout("akamaster", "akamaster/pytorch_resnet_cifar10"),
        Layout("chenyaofo", "chenyaofo/pytorch-cifar-models", "downsample", "fc"),
        Layout("kuangliu", "kuangliu/pytorch-cifar"),
        Layout("bearpaw", "bearpaw/pytorch-classification", "downsample", "fc"),
        Layout("weiaicunzai", "weiaicunzai/pytorch-cifar100", "shortcut", "fc", True),
        Layout("torchvision", Message("torchvision or timm"), "downsample", "fc"),
        Layout("mixed", Message("layer1 ... layerN, names of several repositories")),
    )
}
"""By name. akamaster and kuangliu share their names, with three and four stages."""

LEAVES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")

_BLOCK = r"layer(?P<stage>\d+)\.(?P<block>\d+)\."
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), ours)
    for pattern, ours in (
        (r"(?:compressible_)?conv1|conv1\.0", "stem.conv"),
        (r"bn1|conv1\.1", "stem.bn"),
        (_BLOCK + r"(?:compressible_)?conv(?P<conv>\d)", "conv"),
        (_BLOCK + r"bn(?P<conv>\d)", "bn"),
        (_BLOCK + r"(?:shortcut|downsample)\.0", "shortcut.conv"),
        (_BLOCK + r"(?:shortcut|downsample)\.1", "shortcut.bn"),
        (r"conv(?P<group>\d)_x\.(?P<block>\d+)\.residual_function\.(?P<index>\d)", "sequence"),
        (r"conv(?P<group>\d)_x\.(?P<block>\d+)\.shortcut\.0", "shortcut.conv"),
        (r"conv(?P<group>\d)_x\.(?P<block>\d+)\.shortcut\.1", "shortcut.bn"),
        (r"(?:compressible_)?linear|fc|classifier", "head.fc"),
    )
)
_OWN = re.compile(r"stem\.(conv|bn)|stage\d+\.block\d+\.(conv\d|bn\d|shortcut\.(conv|bn))|head\.fc")


def our_module(path: str) -> str | None:
    """Our module path for a foreign one, or None: `layer2.0.conv1` -> `stage2.block1.conv1`."""
    if _OWN.fullmatch(path):
        return path
    for pattern, kind in _PATTERNS:
        match = pattern.fullmatch(path)
        if match:
            return _ours(kind, match.groupdict())
    return None


def _ours(kind: str, found: dict[str, str]) -> str | None:
    if "block" not in found:
        return kind
    stage = int(found["stage"]) if "stage" in found else int(found["group"]) - 1
    block = f"stage{stage}.block{int(found['block']) + 1}"
    if kind == "sequence":  # convolution, BN, ReLU, convolution, BN, ...
        position, part = divmod(int(found["index"]), 3)
        return None if part == 2 else f"{block}.{('conv', 'bn')[part]}{position + 1}"
    return f"{block}.{kind}{found.get('conv', '')}"


def split_key(key: str) -> tuple[str, str]:
    """(module path, leaf) of a state dict's key."""
    path, _, leaf = key.rpartition(".")
    return path, leaf


def layout_of(keys: Iterable[str], stages: int) -> Layout:
    """The layout that these keys are in; `mixed` where they follow no single repository."""
    paths = {split_key(key)[0] for key in keys}
    if any(path.startswith("stem.") for path in paths):
        return LAYOUTS["own"]
    if any(".residual_function." in path for path in paths):
        return LAYOUTS["weiaicunzai"]
    words = {
        word
        for path in paths
        for word in ("shortcut", "downsample", "linear", "fc")
        if word in re.split(r"[._]", path)
    }
    if words <= {"shortcut", "linear"}:
        return LAYOUTS["akamaster" if stages == 3 else "kuangliu"]
    if words <= {"downsample", "fc"}:
        return LAYOUTS["chenyaofo" if stages == 3 else "torchvision"]
    return LAYOUTS["mixed"]


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
