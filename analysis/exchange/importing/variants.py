"""Which nets fit what was found, where weights leave it open: kinds, shortcuts, strides.

What has no weights can't be read from a file: identity shortcuts, where zeros go, which layer of a
bottleneck subsamples. All nets that fit are candidates, with what is said of the choice.
"""

from __future__ import annotations

from dataclasses import replace

from analysis.errors import ImportRefused, SpecError
from analysis.exchange.importing.refusals import listed
from analysis.exchange.importing.structure import Layer, Structure
from analysis.specs import NetSpec, plan
from analysis.text import Listed, Message


def settle(
    inferred: NetSpec, projections: list[list[Layer]], found: Structure,
    wanted: str | None, hint: str | None,
) -> tuple[tuple[NetSpec, ...], tuple[Message, ...]]:  # fmt: skip
    """All nets that fit, the likeliest first, and what was assumed."""
    here = [len(stage) for stage in projections]
    pre = inferred.traits.preactivated
    if pre and len(found.bns) == sum(inferred.blocks) * (3 if inferred.bottleneck else 2):
        inferred = replace(inferred, final="none")
    said = _parsed(wanted, inferred) if wanted else _fits(hint, inferred)
    if said is not None:
        if _wanted_by(said) != here:
            raise ImportRefused("{wanted}, found {n}", wanted=_wanted(said), n=sum(here))
        unsaid = wanted and said.shortcut == "A" and said.zeros == "both"
        fitting = (said, replace(said, zeros="after")) if unsaid else (said,)
        return fitting, (_zeros_note(said),) if unsaid else ()
    options = [replace(inferred, shortcut=option) for option in ("A", "B", "C")]
    fitting = tuple(option for option in options if _wanted_by(option) == here)
    if not fitting:
        raise ImportRefused(
            "{options}; found {n} ({blocks})",
            options=Listed(tuple(map(_wanted, options))),
            n=sum(here),
            blocks=listed([layer.path for stage in projections for layer in stage])
            or Message("none"),
        )
    return _variants(fitting[0], projections, found)


def _variants(
    spec: NetSpec, projections: list[list[Layer]], found: Structure
) -> tuple[tuple[NetSpec, ...], tuple[Message, ...]]:
    """A net and those that differ in what has no weights, and what is said of that."""
    fitting, notes = [spec], []
    own = any(layer.path == "stem.conv" for layer in found.convs)
    if spec.bottleneck and not own:
        fitting = [replace(spec, bottleneck_stride="3x3"), spec]
        notes.append(
            Message(
                "weights can't tell which layer of a bottleneck subsamples: taken as the 3x3, as "
                "in these repositories (v1.5); name the net {net} if it is the 1x1",
                net=spec.name,
            )
        )
    if spec.shortcut == "A":
        fitting += [replace(one, zeros="after") for one in fitting]
        if spec.traits.preactivated:
            notes.append(_zeros_note(spec))
        else:
            fitting += [one.as_kind("plain") for one in fitting if one.zeros == "both"]
            notes += [_kind_note(spec), _zeros_note(spec)]
    elif spec.traits.preactivated:
        raw = any("downsample" in layer.path for stage in projections for layer in stage)
        order = ("raw", "activated") if raw else ("activated", "raw")
        fitting = [replace(one, projection_input=way) for way in order for one in fitting]
        notes.append(
            Message(
                "weights can't tell what the projections are given: taken as the input {way} the "
                "first BN and ReLU; name the net {other} if it is not that",
                way=Message("before") if raw else Message("after"),
                other=replace(fitting[0], projection_input=order[1]).name,
            )
        )
    return tuple(fitting), tuple(notes)


def _kind_note(spec: NetSpec) -> Message:
    return Message(
        "no projection shortcuts: keys can't tell a plain net from one with option A; "
        "taken as {net}, name the net {plain} if it is plain",
        net=spec.name,
        plain=spec.as_kind("plain").name,
    )


def _zeros_note(spec: NetSpec) -> Message:
    return Message(
        "weights can't tell where option A puts its zeros: taken as half on each side of the "
        "channels; name the net {after} if they are all appended. Images tell",
        after=replace(spec, zeros="after").name,
    )


def _wanted_by(spec: NetSpec) -> list[int]:
    """Projections of each stage."""
    counts = [0] * len(spec.blocks)
    for block in plan.blocks(spec):
        counts[block.stage - 1] += block.shortcut == "projection"
    return counts


def _wanted(spec: NetSpec) -> Message:
    n = sum(_wanted_by(spec))
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
    if said.traits.preactivated != inferred.traits.preactivated:
        raise ImportRefused(
            "{net} has its BNs {there} the convolutions, the file {here} them",
            net=name,
            there=Message("before") if said.traits.preactivated else Message("after"),
            here=Message("before") if inferred.traits.preactivated else Message("after"),
        )
    return said


def _fits(hint: str | None, inferred: NetSpec) -> NetSpec | None:
    try:
        return _parsed(hint, inferred) if hint else None
    except (ImportRefused, SpecError):
        return None
