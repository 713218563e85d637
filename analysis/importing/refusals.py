"""Nets that are none of the families here: what they are, in words for the person who has one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.errors import ImportRefused
from analysis.text import Message

Shape = tuple[int, ...]

_PRE_ACTIVATION = Message(
    "this is a pre-activation net (He et al. 2016, arXiv:1603.05027: BN and ReLU come before the "
    "convolutions): not one of the families here, which are those of arXiv:1512.03385"
)
_OTHER_BLOCKS = (
    (r"stage\d\.\d+\.residual\.\d\.weight", _PRE_ACTIVATION),  # weiaicunzai
    (r"block\d\.layer\.\d+\.bn1\..*", _PRE_ACTIVATION),  # wide ResNets
    (r"stages\.\d+\.blocks\.\d+\.norm1\..*", _PRE_ACTIVATION),  # timm's resnetv2
    (
        r"conv1\.3\.weight",
        Message(
            "its stem has several convolutions (timm's ResNet-C, -D, -T, ResNeSt): not one of the "
            "families here, which begin with one"
        ),
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
        raise _without_ends(list(shapes), "stem.conv.weight" in ours)
    biases = [key for key in ours if re.search(r"conv\d?\.bias$", key)]
    if biases:
        raise ImportRefused(
            "its convolutions have biases ({keys}); those of the paper's nets have none, since BN "
            "follows",
            keys=listed([ours[key] for key in biases]),
        )


def _without_ends(keys: list[str], has_stem: bool) -> ImportRefused:
    if has_stem:
        return ImportRefused(
            "no linear layer was found by a name that is known ({known}), so it is no net of the "
            "families here; its keys end with {keys}",
            known="linear, fc, head.fc",
            keys=listed(keys[-4:]),
        )
    return ImportRefused(
        "no first convolution was found by a name that is known ({known}), so it is no net of the "
        "families here; its keys begin with {keys}",
        known="conv1, conv1.0, stem.conv",
        keys=listed(keys),
    )


def no_such_depth(blocks: tuple[int, ...], bottleneck: bool) -> Message:
    """Of blocks that are in no net here."""
    return Message(
        "it has {blocks} {kind} blocks in {stages} stages ({depth} layers): not one of the "
        "families here. Those are three stages of n two-layer blocks each (depth 6n+2: 20, 32, "
        "44, 56, 110, 1202), and four stages 2-2-2-2 (18), 3-4-6-3 (34), or of bottlenecks "
        "3-4-6-3 (50), 3-4-23-3 (101), 3-8-36-3 (152)",
        blocks="-".join(map(str, blocks)),
        kind=Message("bottleneck") if bottleneck else Message("two-layer"),
        stages=len(blocks),
        depth=sum(blocks) * (3 if bottleneck else 2) + 2,
    )


def other_shapes(net: str, wrong: Mapping[str, tuple[Shape, Shape]]) -> ImportRefused:
    """Of a net's tensors by key that have other shapes: the file's, and the right ones."""
    key, (here, should) = next(iter(wrong.items()))
    words = Message(
        "it looks like {net}, but {n} tensors have other shapes: {key} is {here}, should be "
        "{should}",
        net=net,
        n=len(wrong),
        key=key,
        here=shape_words(here),
        should=shape_words(should),
    )
    reason = _reason_of(list(wrong.values()))
    if reason is None:
        return ImportRefused(words)
    return ImportRefused("{what} ({reason})", what=words, reason=reason)


def _reason_of(wrong: list[tuple[Shape, Shape]]) -> Message | None:
    """What shapes (here, expected) give away; None if nothing."""
    filters = [(here, should) for here, should in wrong if len(here) == 4]
    if any(here[1] < should[1] and here[2] == 3 for here, should in filters):
        return Message("grouped convolutions: a ResNeXt is not one of the families here")
    if any(here[0] > should[0] for here, should in filters):
        return Message("more filters in later layers: a wide net is not one of the families here")
    return None


def guess_by(keys: list[str]) -> Message:
    """What tensors in blocks give away that blocks here don't have."""
    if any(re.search(r"\.(se|fc1|fc2|squeeze|excitation)\b", key) for key in keys):
        return Message("squeeze-and-excitation is not one of the families here")
    if any(re.search(r"\.downsample\.2\.", key) for key in keys):
        return Message("average-pooling shortcuts (ResNet-D) are not one of the families here")
    return Message("such blocks are not one of the families here")


def shape_words(shape: Any) -> str:
    """`64x3x7x7`."""
    return "x".join(map(str, shape))


def listed(names: Sequence[str], most: int = 6) -> str | Message:
    """The first few of them, and how many more there are."""
    first = ", ".join(names[:most])
    if len(names) <= most:
        return first
    return Message("{names} and {more} more", names=first, more=len(names) - most)
