"""Which of our nets a state dict holds, by the order and shapes of its layers; or why none.

The first convolution gives the width, the filters of the 3x3 layers the stages, their number the
depth, the channels of the BNs whether they come before or after, 1x1 layers the shortcuts. Names
only break ties: numbers say the order of siblings, and where all names are those of a repository
that is known, they are taken at their word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.errors import ImportRefused, SpecError, UnknownNet
from analysis.exchange.importing.assignment import assigned, find_head, find_projections
from analysis.exchange.importing.layouts import LEAVES, Layout, layout_of
from analysis.exchange.importing.refusals import (
    STEMS,
    called_otherwise,
    guess_by,
    listed,
    no_such_depth,
    other_net,
    other_shapes,
)  # fmt: skip
from analysis.exchange.importing.structure import Layer, Shape, Structure, structure_of
from analysis.exchange.importing.variants import settle
from analysis.specs import BOTTLENECK_DEPTHS, IMAGENET_BLOCKS, MAX_DEPTH, NetSpec, plan
from analysis.text import Listed, Message


@dataclass(frozen=True)
class Recognised:
    """A net of ours found in a foreign state dict."""

    spec: NetSpec
    layout: Layout
    keys: dict[str, str]
    """Foreign key by our key, of every tensor that the net needs and the file has."""
    unused: tuple[str, ...]
    """Keys outside of the net that were left alone."""
    candidates: tuple[NetSpec, ...]
    """All nets that these weights fit, `spec` first; images can tell which it is."""
    notes: tuple[Message, ...] = ()
    """What was assumed because weights can't tell it."""


def recognise(
    shapes: Mapping[str, Shape], wanted: str | None = None, hint: str | None = None
) -> Recognised:
    """The net whose weights have these shapes.

    Args:
        shapes: of the tensors, by foreign key without prefixes.
        wanted: name of the net that the user says it is; settles what keys can't tell.
        hint: the same, said by the file; ignored where it does not fit.

    Raises:
        UnknownNet: none of the families here; the message says what it is or what is odd.
    """
    try:
        return _recognise(shapes, wanted, hint)
    except ImportRefused as error:
        raise UnknownNet((called_otherwise(shapes) or error).message) from None


def _recognise(shapes: Mapping[str, Shape], wanted: str | None, hint: str | None) -> Recognised:
    found = structure_of(shapes)
    stem, rest = _stem(found, shapes)
    inferred, projections = _infer(found, stem, rest, list(shapes))
    candidates, notes = settle(inferred, projections, found, wanted, hint)
    spec = candidates[0]
    paths = {layer.path for kind in (found.convs, found.bns, found.linears) for layer in kind}
    layout, modules = layout_of(spec, paths)
    if not modules:
        modules = assigned(spec, found, stem, rest, projections)
    modules |= {ours: ours for ours in modules if ours in paths}  # so named by hand
    ours = _keys(modules, shapes)
    taken = set(ours.values())
    unused = tuple(key for key in shapes if key not in taken)
    _check_shapes(spec, {key: tuple(shapes[foreign]) for key, foreign in ours.items()})
    _check_blocks(spec, modules, unused, shapes)
    if layout.name == "torchvision" and spec.stem == "cifar":
        notes += (
            Message(
                "keys can't tell whether a max-pool follows the 3x3 stem "
                "(huyvnphan/PyTorch_CIFAR10 has one, most have none): taken as none; data given, "
                "it is tried"
            ),
        )
    return Recognised(spec, layout, ours, unused, candidates, notes)


def _stem(found: Structure, shapes: Mapping[str, Shape]) -> tuple[Layer, list[Layer]]:
    """The first convolution, and all others."""
    named = [layer for layer in found.convs if layer.path == "stem.conv"]
    stems = named or [layer for layer in found.convs if layer.c_in == 3 and layer.kernel > 1]
    if len(stems) != 1 or stems[0].shape[1:] not in STEMS:
        raise other_net(found, list(shapes))
    stem = stems[0]
    return stem, [layer for layer in found.convs if layer is not stem]


def _infer(
    found: Structure, stem: Layer, rest: Sequence[Layer], keys: list[str]
) -> tuple[NetSpec, list[list[Layer]]]:
    """The residual net with these blocks and widths, and its projections by stage."""
    width = stem.c_out
    threes = [layer for layer in rest if layer.kernel == 3]
    ones = [layer for layer in rest if layer.kernel == 1]
    bottleneck = len(ones) >= 2 * len(threes)
    widths = Counter(layer.c_out for layer in threes)
    stages = len(widths)
    counts = [widths[width * 2**stage] for stage in range(stages)]
    odd = not threes or len(threes) + len(ones) != len(rest) or 0 in counts
    odd = odd or any(layer.c_in not in (layer.c_out, layer.c_out // 2) for layer in threes)
    if odd or (not bottleneck and any(count % 2 for count in counts)):
        raise other_net(found, keys)
    blocks = tuple(count if bottleneck else count // 2 for count in counts)
    depth = _depth(blocks, bottleneck)
    head = find_head(found, width * 2 ** (stages - 1) * (4 if bottleneck else 1), keys)
    try:
        spec = NetSpec(
            kind="residual", depth=depth, family="imagenet" if stages == 4 else "cifar",
            width=width, shortcut="A", classes=head.c_out,
            stem="imagenet" if stem.kernel == 7 else "cifar",
        )  # fmt: skip
    except SpecError as error:
        raise ImportRefused(error.message) from None
    if not found.bns:
        raise other_net(found, keys)
    if _preactivated(found, rest):
        spec = replace(spec, kind="preresidual")
    return spec, find_projections(spec, rest)


def _depth(blocks: tuple[int, ...], bottleneck: bool) -> int:
    if len(blocks) == 4:
        depths = [
            depth
            for depth, counts in IMAGENET_BLOCKS.items()
            if counts == blocks and (depth in BOTTLENECK_DEPTHS) == bottleneck
        ]
    else:
        equal = len(blocks) == 3 and len(set(blocks)) == 1 and not bottleneck
        depths = [6 * blocks[0] + 2] if equal else []
    if not depths or depths[0] > MAX_DEPTH:
        raise ImportRefused(no_such_depth(blocks, bottleneck))
    return depths[0]


def _preactivated(found: Structure, rest: Sequence[Layer]) -> bool:
    """Whether BNs come before the convolutions: by their channels, where these halve.

    In the first block of a stage the first layer has other inputs than filters; a BN of so many
    channels in that block can only be the one before it.
    """
    for layer in rest:
        if (layer.kernel == 3 and layer.c_in < layer.c_out) or (
            layer.kernel == 1 and layer.c_in == 2 * layer.c_out
        ):
            place = layer.path
            while "." in place:
                place = place.rpartition(".")[0]
                inside = [bn.c_out for bn in found.bns if bn.path.startswith(f"{place}.")]
                if inside:  # of one block or stage; the whole net would have three or more
                    return 0 < inside.count(layer.c_in) < 3
    return False


def _keys(modules: Mapping[str, str], shapes: Mapping[str, Shape]) -> dict[str, str]:
    """The file's key by ours, of all tensors of these modules that the file has."""
    return {
        f"{ours}.{leaf}": f"{theirs}.{leaf}"
        for ours, theirs in modules.items()
        for leaf in LEAVES
        if f"{theirs}.{leaf}" in shapes
    }


def expected_shapes(spec: NetSpec) -> dict[str, Shape]:
    """Shape of every tensor of a net's state dict by our key, counters left out."""
    shapes: dict[str, Shape] = {}
    for layer in plan.layers(spec):
        if layer.role == "head":
            shapes |= {f"{layer.name}.weight": (layer.c_out, layer.c_in)}
            shapes |= {f"{layer.name}.bias": (layer.c_out,)}
        else:
            shapes[f"{layer.name}.weight"] = (layer.c_out, layer.c_in, layer.kernel, layer.kernel)
        if layer.bn:
            shapes |= {f"{layer.bn}.{leaf}": (layer.channels,) for leaf in LEAVES[:4]}
    return shapes


def _check_shapes(spec: NetSpec, found: Mapping[str, Shape]) -> None:
    expected = expected_shapes(spec)
    missing = [key for key in expected if key not in found]
    extra = [
        key for key in found if key not in expected and not key.endswith("num_batches_tracked")
    ]
    biases = [key for key in extra if re.search(r"conv\d?\.bias$", key)]
    if biases:
        raise ImportRefused(
            "its convolutions have biases ({keys}); those of the paper's nets have none, since BN "
            "follows",
            keys=listed(biases),
        )
    if missing or extra:
        parts = [Message("missing: {keys}", keys=listed(missing))] if missing else []
        parts += [Message("not of this net: {keys}", keys=listed(extra))] if extra else []
        raise ImportRefused(
            "it looks like {net}, but does not fit: {problems}",
            net=spec.name,
            problems=Listed(tuple(parts), "; "),
        )
    wrong = {key: (found[key], shape) for key, shape in expected.items() if found[key] != shape}
    if wrong:
        raise other_shapes(spec.name, wrong)


def _check_blocks(
    spec: NetSpec, modules: Mapping[str, str], unused: Sequence[str], shapes: Mapping[str, Shape]
) -> None:
    """Refuse tensors in a block that blocks here don't have; a number alone does no harm."""
    places: dict[str, list[str]] = {}
    for ours, theirs in modules.items():
        if ours.startswith("stage"):
            places.setdefault(ours.rsplit(".", ours.count(".") - 1)[0], []).append(theirs)
    starts = {_shared(paths) for paths in places.values()} - {""}
    inside = [
        key
        for key in unused
        if shapes[key] not in ((), (1,)) and any(key.startswith(start) for start in starts)
    ]
    if inside:
        raise ImportRefused(
            "its blocks have {n} tensors more than {net}: {keys}; {guess}",
            n=len(inside),
            net=spec.name,
            keys=listed(inside),
            guess=guess_by(inside),
        )


def _shared(paths: Sequence[str]) -> str:
    """The names with which all of a block's paths begin, with the last dot."""
    first, last = min(paths).split("."), max(paths).split(".")
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    return "".join(f"{part}." for part in first[:same])
