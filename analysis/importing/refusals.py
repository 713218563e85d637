"""Nets that are none of the families here: what they are, in words for the person who has one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from analysis.errors import ImportRefused

Shape = tuple[int, ...]

_NAMED = 6
_PRE_ACTIVATION = (
    "this is a pre-activation net (He et al. 2016, arXiv:1603.05027: BN and ReLU come before the "
    "convolutions): not one of the families here, which are those of arXiv:1512.03385"
)
_OTHER_BLOCKS = (
    (r"stage\d\.\d+\.residual\.\d\.weight", _PRE_ACTIVATION),  # weiaicunzai
    (r"block\d\.layer\.\d+\.bn1\..*", _PRE_ACTIVATION),  # wide ResNets
    (r"stages\.\d+\.blocks\.\d+\.norm1\..*", _PRE_ACTIVATION),  # timm's resnetv2
    (
        r"conv1\.3\.weight",
        "its stem has several convolutions (timm's ResNet-C, -D, -T, ResNeSt): not one of the "
        "families here, which begin with one",
    ),
)
"""Keys that give a net away, and what it is."""


def refuse_other_blocks(shapes: Mapping[str, Shape]) -> None:
    """Say what it is, where names alone give it away. Raises ImportRefused."""
    for pattern, words in _OTHER_BLOCKS:
        if any(re.fullmatch(pattern, key) for key in shapes):
            raise ImportRefused(words)


def refuse_other_nets(shapes: Mapping[str, Shape], ours: Mapping[str, str]) -> None:
    """Say what it is, where the shapes of known keys give it away. Raises ImportRefused."""
    first_bn = shapes.get(ours.get("stage2.block1.bn1.weight", ""), (0,))
    first_conv = shapes.get(ours.get("stage2.block1.conv1.weight", ""), (0, 0))
    before = len(first_conv) == 4 and first_bn == (first_conv[1],) and first_bn[0] != first_conv[0]
    if before:
        raise ImportRefused(_PRE_ACTIVATION)
    if "stem.conv.weight" not in ours or "head.fc.weight" not in ours:
        stem = "stem.conv.weight" not in ours
        what = "first convolution" if stem else "linear layer"
        known = "conv1, conv1.0, stem.conv" if stem else "linear, fc, head.fc"
        keys = list(shapes)
        raise ImportRefused(
            f"no {what} was found by a name that is known ({known}), so it is no net of the "
            f"families here; its keys {'begin' if stem else 'end'} with "
            f"{listed(keys if stem else keys[-4:])}"
        )
    biases = [key for key in ours if re.search(r"conv\d?\.bias$", key)]
    if biases:
        raise ImportRefused(
            f"its convolutions have biases ({listed([ours[key] for key in biases])}); those of "
            "the paper's nets have none, since BN follows"
        )


def no_such_depth(blocks: tuple[int, ...], bottleneck: bool) -> str:
    """Of blocks that are in no net here."""
    kind = "bottleneck" if bottleneck else "two-layer"
    depth = sum(blocks) * (3 if bottleneck else 2) + 2
    return (
        f"it has {'-'.join(map(str, blocks))} {kind} blocks in {len(blocks)} stages ({depth} "
        "layers): not one of the families here. Those are three stages of n two-layer blocks "
        "each (depth 6n+2: 20, 32, 44, 56, 110, 1202), and four stages 2-2-2-2 (18), 3-4-6-3 (34), "
        "or of bottlenecks 3-4-6-3 (50), 3-4-23-3 (101), 3-8-36-3 (152)"
    )


def reason_of(wrong: list[tuple[Shape, Shape]]) -> str:
    """What shapes (here, expected) give away, to be put behind them; empty if nothing."""
    filters = [(here, should) for here, should in wrong if len(here) == 4]
    if any(here[1] < should[1] and here[2] == 3 for here, should in filters):
        return " (grouped convolutions: a ResNeXt is not one of the families here)"
    if any(here[0] > should[0] for here, should in filters):
        return " (more filters in later layers: a wide net is not one of the families here)"
    return ""


def guess_by(keys: list[str]) -> str:
    """What tensors in blocks give away that blocks here don't have."""
    if any(re.search(r"\.(se|fc1|fc2|squeeze|excitation)\b", key) for key in keys):
        return "squeeze-and-excitation is not one of the families here"
    if any(re.search(r"\.downsample\.2\.", key) for key in keys):
        return "average-pooling shortcuts (ResNet-D) are not one of the families here"
    return "such blocks are not one of the families here"


def shape_words(shape: Any) -> str:
    """`64x3x7x7`."""
    return "x".join(map(str, shape))


def listed(names: list[str]) -> str:
    """The first few of them."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
