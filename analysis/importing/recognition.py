"""Which of our nets a state dict holds, by its keys and shapes; or why it holds none of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from analysis import plan
from analysis.errors import ImportRefused, SpecError
from analysis.importing.layouts import LEAVES, Layout, layout_of, our_module, split_key
from analysis.importing.refusals import (
    Shape,
    guess_by,
    listed,
    no_such_depth,
    other_shapes,
    refuse_other_blocks,
    refuse_other_nets,
    shape_words,
)  # fmt: skip
from analysis.spec import BOTTLENECK_DEPTHS, IMAGENET_BLOCKS, MAX_DEPTH, NetSpec
from analysis.text import Listed, Message

_IN_A_STAGE = re.compile(r"(layer\d|stage\d|conv\d_x|block\d)[\d.]")


@dataclass(frozen=True)
class Recognised:
    """A net of ours found in a foreign state dict."""

    spec: NetSpec
    layout: Layout
    keys: dict[str, str]
    """Foreign key by our key, of every tensor that the net needs and the file has."""
    unused: tuple[str, ...]
    """Keys outside of the net that were left alone."""
    ambiguous: bool
    """Whether the keys fit a plain net as well as a residual one with option A."""
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
        ImportRefused: none of the families here; the message says what it is or what is odd.
    """
    refuse_other_blocks(shapes)
    ours, unused = _translate(shapes)
    refuse_other_nets(shapes, ours)
    found = {key: tuple(shapes[foreign]) for key, foreign in ours.items()}
    inferred = _infer(found)
    layout = layout_of(ours.values(), len(inferred.blocks))
    spec, notes = _settle(inferred, found, layout, wanted, hint)
    _check_shapes(spec, found)
    inside = [key for key in unused if _IN_A_STAGE.match(key)]
    if inside:
        raise ImportRefused(
            "its blocks have {n} tensors more than {net}: {keys}; {guess}",
            n=len(inside),
            net=spec.name,
            keys=listed(inside),
            guess=guess_by(inside),
        )
    ambiguous = not _projections(found) and not wanted and not _fits(hint, inferred)
    if ambiguous:
        notes += (
            Message(
                "no projection shortcuts: keys can't tell a plain net from one with option A; "
                "taken as {net}, name the net {plain} if it is plain",
                net=spec.name,
                plain=spec.counterpart().name,
            ),
        )
    if layout.name == "torchvision" and spec.stem == "cifar":
        notes += (
            Message(
                "keys can't tell whether a max-pool follows the 3x3 stem "
                "(huyvnphan/PyTorch_CIFAR10 has one, most have none): taken as none; data given, "
                "it is tried"
            ),
        )
    return Recognised(spec, layout, ours, tuple(unused), ambiguous, notes)


def _translate(shapes: Mapping[str, Shape]) -> tuple[dict[str, str], list[str]]:
    """(foreign key by our key, foreign keys that mean nothing here)."""
    ours: dict[str, str] = {}
    unused = []
    for key in shapes:
        path, leaf = split_key(key)
        module = our_module(path) if leaf in LEAVES else None
        if module is None:
            unused.append(key)
            continue
        name = f"{module}.{leaf}"
        if name in ours:
            raise ImportRefused(
                "{one} and {other} both mean {name}", one=ours[name], other=key, name=name
            )
        ours[name] = key
    return ours, unused


def _infer(found: Mapping[str, Shape]) -> NetSpec:
    """The residual net with these blocks and widths; its shortcuts are settled later."""
    stem, head = found["stem.conv.weight"], found["head.fc.weight"]
    if len(head) != 2:
        raise ImportRefused(
            "its linear layer has the shape {shape}: not one of the families here, which end with "
            "classes x features",
            shape=shape_words(head),
        )
    if len(stem) != 4 or stem[1:] not in ((3, 3, 3), (3, 7, 7)):
        raise ImportRefused(
            "its first convolution has the shape {shape}; nets here begin with 3x3 or 7x7 filters "
            "on 3 colours",
            shape=shape_words(stem),
        )
    blocks, convs = _blocks(found)
    bottleneck = convs == 3
    imagenet = len(blocks) == 4
    if imagenet:
        depths = [
            depth
            for depth, counts in IMAGENET_BLOCKS.items()
            if counts == blocks and (depth in BOTTLENECK_DEPTHS) == bottleneck
        ]
    else:
        n = blocks[0]
        depths = [6 * n + 2] if set(blocks) == {n} and len(blocks) == 3 and not bottleneck else []
    if not depths or depths[0] > MAX_DEPTH:
        raise ImportRefused(no_such_depth(blocks, bottleneck))
    try:
        return NetSpec(
            kind="residual", depth=depths[0], family="imagenet" if imagenet else "cifar",
            width=stem[0], shortcut="A", classes=head[0],
            stem="imagenet" if stem[2] == 7 else "cifar", bottleneck_stride="1x1",
        )  # fmt: skip
    except SpecError as error:
        raise ImportRefused(error.message) from None


def _blocks(found: Mapping[str, Shape]) -> tuple[tuple[int, ...], int]:
    """(blocks of each stage, convolutions of a block)."""
    convs: Counter[tuple[int, int]] = Counter()
    for key in found:
        match = re.fullmatch(r"stage(\d+)\.block(\d+)\.conv\d\.weight", key)
        if match:
            convs[int(match[1]), int(match[2])] += 1
    stages = Counter(stage for stage, _ in convs)
    if not convs:
        raise ImportRefused(
            "no blocks were found by names that are known (layer1.0.conv1, "
            "conv2_x.0.residual_function.0, stage1.block1.conv1), so it is no net of the families "
            "here"
        )
    counts = tuple(stages[stage] for stage in sorted(stages))
    whole = {(s, b) for s, n in enumerate(counts, start=1) for b in range(1, n + 1)}
    if set(convs) != whole or len(set(convs.values())) != 1:
        raise ImportRefused(
            "its blocks are not those of a net here: {blocks} blocks in {stages} stages, with gaps "
            "or of unequal length; is the file whole?",
            blocks=len(convs),
            stages=len(stages),
        )
    return counts, next(iter(convs.values()))


def _projections(found: Mapping[str, Shape]) -> set[str]:
    return {
        key.removesuffix(".shortcut.conv.weight")
        for key in found
        if key.endswith(".shortcut.conv.weight")
    }


def _expected(spec: NetSpec) -> set[str]:
    return {block.name for block in plan.blocks(spec) if block.shortcut == "projection"}


def _settle(
    inferred: NetSpec, found: Mapping[str, Shape], layout: Layout,
    wanted: str | None, hint: str | None,
) -> tuple[NetSpec, tuple[Message, ...]]:  # fmt: skip
    """The net with its kind, shortcut option and bottleneck stride, and what was assumed."""
    here = _projections(found)
    said = _parsed(wanted, inferred) if wanted else _fits(hint, inferred)
    if said is not None:
        if _expected(said) != here:
            raise ImportRefused("{wanted}, found {n}", wanted=_wanted(said), n=len(here))
        return said, ()
    notes: tuple[Message, ...] = ()
    spec = inferred
    if spec.bottleneck and layout.name != "own":
        spec = replace(spec, bottleneck_stride="3x3")
        notes = (
            Message(
                "weights can't tell which layer of a bottleneck subsamples: taken as the 3x3, as "
                "in these repositories (v1.5); name the net {net} if it is the 1x1",
                net=replace(spec, bottleneck_stride="1x1"),
            ),
        )
    candidates = [replace(spec, shortcut=option) for option in ("A", "B", "C")]
    for candidate in candidates:
        if _expected(candidate) == here:
            return candidate, notes
    raise ImportRefused(
        "{options}; found {n} ({blocks})",
        options=Listed(tuple(map(_wanted, candidates))),
        n=len(here),
        blocks=listed(sorted(here)) or Message("none"),
    )


def _wanted(spec: NetSpec) -> Message:
    n = len(_expected(spec))
    if spec.shortcut is None:
        return Message("a plain net expected {n} projection weights", n=n)
    return Message("option {option} expected {n} projection weights", option=spec.shortcut, n=n)


_DIFFERENCES = {
    "depth": Message("{net} has {there} layers, the file {here}"),
    "family": Message("{net} is of the {there} family, the file of the {here} family"),
    "width": Message("{net} has {there} filters in its first stage, the file {here}"),
    "stem": Message("{net} has the {there} stem, the file the {here} stem"),
}


def _parsed(name: str, inferred: NetSpec) -> NetSpec:
    said = NetSpec.parse(name, inferred.classes)
    for field, words in _DIFFERENCES.items():
        here, there = getattr(inferred, field), getattr(said, field)
        if here != there:
            raise ImportRefused(Message(words.text, net=name, there=there, here=here))
    return said


def _fits(hint: str | None, inferred: NetSpec) -> NetSpec | None:
    try:
        return _parsed(hint, inferred) if hint else None
    except (ImportRefused, SpecError):
        return None


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
    if missing and all(".running_" in key for key in missing):
        raise ImportRefused(
            "it looks like {net}, but its norm layers have no running statistics: GroupNorm or the "
            "like, which is not one of the families here",
            net=spec.name,
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
