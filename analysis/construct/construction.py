"""The solution by construction (section 1): a deeper net that computes what a shallower one does.

Identity layers are inserted after each stage's own blocks. In a plain block both 3x3 layers have
Dirac kernels and a BN that passes its input through; what they are given is never negative (it
comes from a ReLU), so their own ReLUs cut nothing. In a residual block F = 0: the last BN's scale
and shift are 0; in a pre-activation block, which ends with a convolution, its kernels. In
evaluation mode the identity is exact, to the last bit on a CPU. In training mode BN normalises with
the statistics of each batch instead of the kept ones, so a plain identity block is then only close
to one, and only where its BN is set from data (`calibrate`); a residual one with identity shortcuts
(options A and B) stays exact. Knows nets; `constructed_runs` keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
import torch
from torch import Tensor, nn

from analysis.nets import Net, ProjectionShortcut, build
from analysis.responses.recorder import evaluating
from analysis.specs import NetSpec, plan

_MANTISSA = 12
"""Bits kept of a calibrated scale, so that its square is a float32 number without rounding."""

Statistics = dict[int, tuple[Tensor, Tensor]]
"""By stage: mean and variance of each channel of its output over images and positions, (C,)."""


def deepen(net: Net, depth: int, statistics: Statistics | None = None, seed: int = 0) -> Net:
    """A deeper net with the same function, in evaluation mode.

    Args:
        net: the shallower net.
        depth: of the new net; more than the old one's.
        statistics: from `stage_statistics`, for training on; None: each inserted BN has mean 0,
            variance 1 - eps, scale 1, shift 0.
        seed: of the kernels in residual blocks, which a scale of 0 silences.

    Raises:
        SpecError: as `plan.deeper_spec`.
    """
    deep = build(plan.deeper_spec(net.spec, depth), seed)
    own = net.state_dict()
    state = deep.state_dict()
    state.update(own)
    deep.load_state_dict(state)
    for info in inserted_blocks(net.spec, deep.spec):
        _make_identity(deep, info, (statistics or {}).get(info.stage))
    return deep.train(net.training)


def inserted_blocks(shallow: NetSpec, deep: NetSpec) -> list[plan.BlockInfo]:
    """The blocks that the deeper net has and the shallower one has not, in forward order."""
    have = {info.name for info in plan.blocks(shallow)}
    return [info for info in plan.blocks(deep) if info.name not in have]


@torch.no_grad()
def _make_identity(
    net: Net, info: plan.BlockInfo, statistics: tuple[Tensor, Tensor] | None
) -> None:
    if not info.x:
        for layer in plan.layers(net.spec):
            if layer.block_name == info.name:
                nn.init.dirac_(net.get_submodule(layer.name).weight)  # type: ignore
                _pass_through(net.get_submodule(layer.bn), statistics)  # type: ignore
        return
    for parameter in net.get_submodule(info.f).parameters():
        parameter.zero_()
    shortcut = net.get_submodule(info.x)
    if isinstance(shortcut, ProjectionShortcut):  # option C projects even where it need not
        nn.init.dirac_(shortcut.conv.weight)
        if isinstance(shortcut.bn, nn.BatchNorm2d):
            _pass_through(shortcut.bn, statistics)


def _pass_through(bn: nn.BatchNorm2d, statistics: tuple[Tensor, Tensor] | None) -> None:
    """Mean, variance, scale and shift with which BN returns its input, to the bit on a CPU."""
    assert bn.running_mean is not None
    assert bn.running_var is not None
    if statistics is None:
        bn.running_mean.zero_()
        bn.running_var.fill_(1 - bn.eps)
        bn.weight.fill_(1)
        bn.bias.zero_()
        return
    mean, variance = statistics
    scale, kept = _exact_scale(variance, bn.eps)
    bn.running_mean.copy_(mean)
    bn.running_var.copy_(kept)
    bn.weight.copy_(scale)
    bn.bias.copy_(mean)


def _exact_scale(variance: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(scale, variance) near sqrt(variance + eps), with scale / sqrt(variance + eps) exactly 1.

    BN multiplies by scale * (1 / sqrt(variance + eps)), which in floating point is 1 or just below
    it. A scale of few bits makes the square root exact; of the next such scales the first whose
    reciprocal also rounds the right way is taken. The powers of two always do, so there is one.
    """
    wanted = (variance.cpu().double().clamp(min=0) + eps).sqrt()
    _mantissa, exponent = torch.frexp(wanted)
    grain = torch.ldexp(torch.ones_like(wanted), exponent - _MANTISSA)
    scale = torch.ceil(wanted / grain) * grain
    for _try in range(2**_MANTISSA):
        kept = (scale**2 - eps).float()
        good = scale.float() * (1 / torch.sqrt(kept + eps)) == 1
        if bool(good.all()):
            break
        scale = torch.where(good, scale, scale + grain)
    return scale.float(), kept


def stage_statistics(net: Net, batches: Iterable[Tensor]) -> Statistics:
    """Mean and variance of each stage's output, in evaluation mode: what inserted BNs will see.

    Args:
        net: the shallower net.
        batches: normalised images (N, 3, H, W).
    """
    sums: dict[int, list[Tensor]] = {}

    def add(stage: int, output: Tensor) -> None:
        values = output.cpu().double()
        parts = [values.sum((0, 2, 3)), values.square().sum((0, 2, 3))]
        parts.append(torch.tensor(output[:, 0].numel(), dtype=torch.float64))
        found = sums.setdefault(stage, [torch.zeros_like(part) for part in parts])
        for total, part in zip(found, parts, strict=True):
            total += part

    last = {info.stage: info.output for info in plan.blocks(net.spec)}
    handles = [
        net.get_submodule(path).register_forward_hook(
            lambda _m, _i, output, s=stage: add(s, output)
        )
        for stage, path in last.items()
    ]
    try:
        with evaluating(net):
            for batch in batches:
                net(batch)
    finally:
        for handle in handles:
            handle.remove()
    return {
        stage: ((total / n).float(), (squares / n - (total / n) ** 2).clamp(min=0).float())
        for stage, (total, squares, n) in sums.items()
    }


def block_differences(shallow: Net, deep: Net, batch: Tensor) -> pd.DataFrame:
    """Layer by layer: how far the constructed net's blocks are from the shallower net's.

    An inserted block is held against the block before it: the last of its stage in the shallower
    net. Evaluation mode.

    Args:
        shallow: the net that was deepened.
        deep: what `deepen` made of it.
        batch: normalised images (N, 3, H, W).

    Returns:
        A row a block of the deeper net and one for the logits: block, stage, inserted, compared_to,
        largest (absolute output), difference (largest absolute).
    """
    before, after = _block_outputs(shallow, batch), _block_outputs(deep, batch)
    last = {info.stage: info.name for info in plan.blocks(shallow.spec)}
    rows = []
    for info in plan.blocks(deep.spec):
        other = info.name if info.name in before else last[info.stage]
        rows.append((info.name, info.stage, info.name not in before, other))
    rows.append(("logits", len(last) + 1, False, "logits"))
    return pd.DataFrame(
        [
            {
                "block": block, "stage": stage, "inserted": inserted, "compared_to": other,
                "largest": float(after[block].abs().max()),
                "difference": float((after[block] - before[other]).abs().max()),
            }
            for block, stage, inserted, other in rows
        ]
    )  # fmt: skip


def _block_outputs(net: Net, batch: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        found[name] = output

    handles = [
        net.get_submodule(info.output).register_forward_hook(
            lambda _m, _i, output, name=info.name: keep(name, output)
        )
        for info in plan.blocks(net.spec)
    ]
    try:
        with evaluating(net):
            found["logits"] = net(batch)
    finally:
        for handle in handles:
            handle.remove()
    return found
