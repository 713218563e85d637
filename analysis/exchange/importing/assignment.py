"""Which layer of a file is which of ours, by order and shapes alone, once the net is known."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from analysis.errors import ImportRefused
from analysis.exchange.importing.refusals import listed, shape_words
from analysis.exchange.importing.structure import Layer, Structure, paired
from analysis.specs import NetSpec, plan
from analysis.text import Message

_DIGITS = re.compile(r"\d+")
_HEADS = re.compile(r"(^|[._])(fc|linear|head|classifier|output|logits)", re.I)
_ALONE = re.compile(r"(\b(fc|linear|head|classifier|output|logits|\d+)\b\.?)+", re.I)
"""The head of the net itself, not of a task beside it such as rot_head or aux_head."""
_SHORTCUTS = re.compile(r"short|skip|down|proj|identity|ident|residual_conv|res_conv|branch1", re.I)


def find_head(found: Structure, inputs: int, keys: list[str]) -> Layer:
    """The linear layer with as many inputs as the last stage has channels."""
    named = [layer for layer in found.linears if layer.path == "head.fc"]
    fitting = named or [layer for layer in found.linears if layer.c_in == inputs]
    if not fitting:
        raise ImportRefused(
            "it has no linear layer of {n} inputs, as many as its last stage has channels (its "
            "linear layers: {layers}); nets here end with one. Its keys end with {keys}",
            n=inputs,
            layers=listed([f"{one.path} {shape_words(one.shape)}" for one in found.linears], 3)
            or Message("none"),
            keys=listed(keys[-4:]),
        )
    called = [layer for layer in fitting if _HEADS.search(layer.path)]
    alone = [layer for layer in called if _ALONE.fullmatch(layer.path)]
    head = alone[0] if alone and not named else (called or fitting)[-1]
    after = [one for one in found.linears if one.c_in == head.c_out and one is not head]
    alike = [one for one in fitting if _DIGITS.sub("", one.path) == _DIGITS.sub("", head.path)]
    before = [one for one in alike if one is not head and one.c_out == inputs]
    if before or (after and head.c_out == inputs):
        raise ImportRefused(
            "its head has several linear layers, one after the other ({layers}); nets here end "
            "with one",
            layers=listed([layer.path for layer in (*before, head, *after)]),
        )
    return head


def find_projections(spec: NetSpec, rest: Sequence[Layer]) -> list[list[Layer]]:
    """1x1 layers that are no part of a block's main path, by stage and in order.

    Args:
        spec: with the blocks and widths of the file.
        rest: all convolutions but the stem's, in forward order.
    """
    ones = [layer for layer in rest if layer.kernel == 1]
    found: list[list[Layer]] = []
    for index, blocks in enumerate(spec.blocks):
        c_mid = spec.width * 2**index
        c_out = 4 * c_mid if spec.bottleneck else c_mid
        if not spec.bottleneck:
            found.append([layer for layer in ones if layer.c_out == c_out])
            continue
        stage = [one for one in ones if one.shape[:2] in ((c_out, c_out), (c_out, c_out // 2))]
        if index == 0:  # from the stem's w to 4w, as the last layer of each block
            same = [layer for layer in ones if layer.shape[:2] == (c_out, c_mid)]
            stage = _like_the_last(same, len(same) - blocks, rest) + stage
        found.append(stage)
    return found


def _like_the_last(same: list[Layer], n: int, rest: Sequence[Layer]) -> list[Layer]:
    """Those n of layers of one shape that are projections: by name, else by their place."""
    if n <= 0:
        return []
    patterns = Counter(_DIGITS.sub("#", layer.path) for layer in same)
    alone = [layer for layer in same if patterns[_DIGITS.sub("#", layer.path)] <= n < len(same) - n]
    for called in ([layer for layer in same if _SHORTCUTS.search(layer.path)], alone):
        if len(called) == n:
            return called
    first = next(layer for layer in rest if layer.kernel == 3 or layer is same[0])
    return same[:n] if first is same[0] else same[1 : 1 + n]


def assigned(
    spec: NetSpec, found: Structure, stem: Layer, rest: Sequence[Layer],
    projections: list[list[Layer]],
) -> dict[str, str]:  # fmt: skip
    """The file's module path by ours, for every layer and BN of the net, by order alone."""
    aside = {layer.path for stage in projections for layer in stage}
    main = [layer for layer in rest if layer.path not in aside]
    head = find_head(found, plan.blocks(spec)[-1].c_out, [])
    modules = {"stem.conv": stem.path, "head.fc": head.path}
    layers: dict[str, Layer] = {"stem.conv": stem}
    wanted = [layer for layer in plan.layers(spec) if layer.role == "main"]
    pools: dict[tuple[int, int, int], list[Layer]] = {}
    for layer in main:
        pools.setdefault(_role(layer.kernel, layer.c_in, layer.c_out, spec), []).append(layer)
    _first_first([pool for pool in pools.values() if pool[0].kernel == 3])
    for info in wanted:
        pool = pools.get(_role(info.kernel, info.c_in, info.c_out, spec), [])
        if pool:
            layers[info.name] = pool.pop(0)
    for stage, ones in enumerate(projections, start=1):
        blocks = [b for b in plan.blocks(spec) if b.stage == stage and b.shortcut == "projection"]
        layers |= {f"{b.x}.conv": one for b, one in zip(blocks, ones, strict=False)}
    modules |= {name: layer.path for name, layer in layers.items()}
    return modules | _bns(spec, found, layers)


def _role(kernel: int, c_in: int, c_out: int, spec: NetSpec) -> tuple[int, int, int]:
    """Layers of one role differ in nothing but their place: those of a stage, of one kind."""
    if kernel == 3:
        return 3, c_out, 0
    return (1, c_out, 1) if c_out == 4 * c_in else (1, c_out, 0)


def _first_first(stages: Sequence[list[Layer]]) -> None:
    """Exchange two and two where a block's second layer comes first in the file, as shapes say."""
    if any(len(pool) > 1 and pool[1].c_in != pool[1].c_out for pool in stages):
        for pool in stages:
            for index in range(0, len(pool) - 1, 2):
                pool[index], pool[index + 1] = pool[index + 1], pool[index]


def _bns(spec: NetSpec, found: Structure, layers: Mapping[str, Layer]) -> dict[str, str]:
    before, bns = spec.traits.preactivated, found.bns
    with_bn = {info.name: info.bn for info in plan.layers(spec) if info.bn and info.role != "head"}
    convs = [layers[name] for name in with_bn if name in layers]
    of_conv = paired(sorted(convs, key=found.convs.index), bns, before)
    modules = {
        bn: of_conv[layers[name].path].path
        for name, bn in with_bn.items()
        if name in layers and layers[name].path in of_conv
    }
    left = [layer.path for layer in bns if layer.path not in modules.values()]
    if before and spec.final == "bn" and left:
        modules["final.bn"] = left[-1]
    return modules
