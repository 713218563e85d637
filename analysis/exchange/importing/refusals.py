"""Nets that are none of the families here: what they are, in words for the person who has one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analysis.errors import ImportRefused
from analysis.exchange.importing.structure import Layer, Shape, Structure
from analysis.text import Message

STEMS = ((3, 3, 3), (3, 7, 7))
"""Shapes of a first filter."""
RECORD = Message(
    "Its layer responses can be recorded all the same, as those of any module with BNs: "
    "analysis.responses.record, then save_recording; Compare shows them"
)
_OTHER_PRE_ACTIVATION = Message(
    "this is a pre-activation net (He et al. 2016, arXiv:1603.05027) of other blocks than those of "
    "preresnet-20 ... preresnet-152 here"
)
_BY_NAME = (
    (r"stage\d\.\d+\.residual\.\d\.weight", _OTHER_PRE_ACTIVATION),  # weiaicunzai
    (r"block\d\.layer\.\d+\.bn1\..*", _OTHER_PRE_ACTIVATION),  # wide ResNets
    (r"stages\.\d+\.blocks\.\d+\.norm1\..*", _OTHER_PRE_ACTIVATION),  # timm's resnetv2
    (
        r"conv1\.3\.weight",
        Message(
            "its stem has several convolutions (timm's ResNet-C, -D, -T, ResNeSt): not one of the "
            "families here, which begin with one"
        ),
    ),
    (
        r".*\.(weight_g|weight_v|parametrizations\..*)",
        Message(
            "its weights are parametrized (weight normalization, spectral normalization or the "
            "like); remove that where it was made, and save the state dict again"
        ),
    ),
    (
        r".*(_packed_params|\.weight_fake_quant|\.zero_point).*",
        Message("its weights are quantized; save the state dict of the net in float32"),
    ),
)
"""Keys that give a net away, and what it is."""


def called_otherwise(keys: Iterable[str]) -> ImportRefused | None:
    """What a net that was not recognised is by the names in it, where they give it away."""
    for pattern, words in _BY_NAME:
        if any(re.fullmatch(pattern, key) for key in keys):
            return ImportRefused(words)
    return None


def other_net(found: Structure, keys: list[str]) -> ImportRefused:
    """Of layers that are no net here: what they are, as far as shapes tell."""
    return ImportRefused(
        "{what}, so it is no net of the families here; its keys begin with {keys}. {record}",
        what=_what_it_is(found),
        keys=listed(keys),
        record=RECORD,
    )


def _what_it_is(found: Structure) -> Message:
    stems = [layer for layer in found.convs if layer.c_in == 3]
    rest = [layer for layer in found.convs if layer not in stems]
    threes = [layer for layer in rest if layer.kernel == 3]
    groups = {layer.c_out / layer.c_in for layer in threes}
    if not found.convs:
        return Message("it has no convolutions")
    if not stems:
        return Message("no convolution of it takes 3 colours")
    if sum(layer.c_in == 1 for layer in rest) > 2:
        return Message("its convolutions are depthwise (MobileNet, EfficientNet or the like)")
    if len(stems) > 1:
        return Message(
            "{n} of its convolutions take 3 colours ({names}); if it holds several nets, name one",
            n=len(stems),
            names=listed([layer.path for layer in stems], 3),
        )
    if stems[0].shape[1:] not in STEMS:
        return Message(
            "its first convolution has the shape {shape}; nets here begin with 3x3 or 7x7 filters "
            "on 3 colours",
            shape=shape_words(stems[0].shape),
        )
    if not found.bns and found.norms:
        return Message("its norm layers have no running statistics: GroupNorm or the like")
    if not found.bns:
        return Message("it has no BN")
    if len({layer.c_in for layer in rest}) > 2 * len({layer.c_out for layer in rest}):
        return Message("each of its layers is given all earlier ones (DenseNet or the like)")
    if any(a.c_out == b.c_in for a, b in itertools.pairwise(found.linears)):
        return Message("several linear layers follow its convolutions (VGG or the like)")
    if len(groups) == 1 and min(groups) >= 2 and len(threes) > 3:
        return Message("it has grouped convolutions: a ResNeXt is not one of the families here")
    return _widths(stems[0], threes)


def _widths(stem: Layer, threes: Sequence[Layer]) -> Message:
    """Of a net with a stem and 3x3 layers whose filters are not w, 2w, 4w, ..."""
    filters = list(dict.fromkeys(layer.c_out for layer in threes))
    doubling = all(b == 2 * a for a, b in itertools.pairwise(filters))
    if (
        doubling
        and 3 <= len(filters) <= 4
        and filters[0] % stem.c_out == 0 < filters[0] - stem.c_out
    ):
        return Message(
            "its stages have {n} times the filters of its stem: a wide net is not one of the "
            "families here",
            n=filters[0] // stem.c_out,
        )
    if len(filters) > 5:
        return Message(
            "its 3x3 layers have {n} different numbers of filters ({filters}): channels were "
            "pruned, so that its blocks are no longer alike, or it is another architecture",
            n=len(filters),
            filters=listed([str(n) for n in filters]),
        )
    return Message(
        "its first convolution has {stem} filters and its 3x3 layers {filters}; in the nets here a "
        "number of filters stays within a stage, doubles from one to the next, and each stage has "
        "whole blocks of two 3x3 layers or of a bottleneck",
        stem=stem.c_out,
        filters=", ".join(map(str, filters)) or Message("none"),
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
    return ImportRefused(
        "it looks like {net}, but {n} tensors have other shapes: {key} is {here}, should be "
        "{should}",
        net=net,
        n=len(wrong),
        key=key,
        here=shape_words(here),
        should=shape_words(should),
    )


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
