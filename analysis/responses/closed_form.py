"""Layer responses without a forward pass: BN's output has a known mean and variance.

In training mode a BN output has, per channel, mean beta and variance gamma^2 s^2 / (s^2 + eps),
with s^2 the batch variance of its input: exactly, whatever the input. A layer's std over the
batch follows in O(channels). With the running variance in place of s^2 it follows training at no
measurable cost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
from torch import Tensor, nn

from analysis.responses.rows import BatchNorm, described_layers, response_row
from analysis.runs import tables


def closed_form_std(bn: BatchNorm, var: Tensor | None = None) -> tuple[float, float]:
    """(std, mean) of a BN's output over a whole batch.

    Args:
        bn: the BN module, with or without scale and shift.
        var: per-channel batch variance of its input, (C,), population; by default the running
            variance.

    Raises:
        ValueError: neither `var` nor a running variance is there.
    """
    var = bn.running_var if var is None else var
    if var is None:
        raise ValueError("this BN keeps no running variance; pass the batch variance of its input")
    var = var.detach().cpu().double()
    scale = 1.0 if bn.weight is None else bn.weight.detach().cpu().double().square()
    within = float((scale * var / (var + bn.eps)).mean())
    if bn.bias is None:
        return math.sqrt(within), 0.0
    beta = bn.bias.detach().cpu().double()
    return math.sqrt(within + float(beta.var(correction=0))), float(beta.mean())


def closed_form(
    net: nn.Module, epoch: int = 0, batch_var: Mapping[str, Tensor] | None = None
) -> pd.DataFrame:
    """The `responses` table of a net, from its parameters alone; no images are needed.

    Of a foreign module in the order of registration, since nothing is executed; a BN of which that
    does not tell the convolution has its own name and kernel 0. `record` goes by execution.

    Args:
        net: one of ours, or any module with BatchNorm layers.
        epoch: what the table's `epoch` column says.
        batch_var: by BN path, the batch variance of its input, (C,); the running one by default.
    """
    given = batch_var or {}
    rows = []
    for described in described_layers(net):
        std, mean = closed_form_std(described.module, given.get(described.bn))
        rows.append(response_row(described, epoch, "closed_form", std, mean, 0))
    return pd.DataFrame(rows, columns=tables.names("responses"))
