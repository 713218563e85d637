"""Tiny runs made by formulas that have probes too: known ratios, and nothing of it was trained.

At initialisation block l of a stage has the ratio 1/sqrt(1 + l - 1); from there it falls to half of
that over the epochs. The band is a fifth to both sides.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.runs import load_run, open_writer
from analysis.specs import NetSpec, plan
from tests.tiny import STEPS, response_std, write_run

UPDATES = (0, 1, 2, 5, 10)
"""Of the first epoch."""


def ratio(block: int, epoch: float) -> float:
    """Of block l of a stage (from 1): the law, halved over time."""
    return 1 / np.sqrt(block) * (0.5 + 0.5 * np.exp(-epoch))


def moments(epochs: int) -> list[tuple[int, int]]:
    """(epoch, iteration) of each probe."""
    return [(0, update) for update in UPDATES] + [(e, e * STEPS) for e in range(1, epochs + 1)]


def probe_blocks(net: NetSpec, epochs: int) -> pd.DataFrame:
    """The `probe_blocks` table; without rows for plain nets."""
    rows = []
    for epoch, iteration in moments(epochs):
        for order, info in enumerate(plan.blocks(net), start=1):
            value = ratio(info.block, iteration / STEPS)
            cosine = 1 / np.sqrt(1 + value**2)
            rows.append(
                {
                    "epoch": epoch, "iteration": iteration, "block_name": info.name,
                    "order": order, "stage": info.stage, "block": info.block,
                    "rms_x": np.sqrt(info.block), "rms_f": value * np.sqrt(info.block),
                    "ratio": value, "ratio_low": 0.8 * value, "ratio_high": 1.2 * value,
                    "cosine": cosine, "cosine_low": cosine - 0.1, "cosine_high": cosine + 0.05,
                    "drift": 1 / np.sqrt(info.block), "n_images": 256,
                }
            )  # fmt: skip
    return pd.DataFrame(rows if net.kind != "plain" else [])


def probes(net: NetSpec, epochs: int) -> pd.DataFrame:
    """The `probes` table."""
    rows = []
    for epoch, iteration in moments(epochs):
        for layer in plan.layers(net):
            if not layer.bn:
                continue
            names = ("order", "stage", "block", "conv", "kernel")
            rows.append(
                {
                    "epoch": epoch, "iteration": iteration, "layer": layer.name,
                    **{name: getattr(layer, name) for name in names},
                    "std": response_std(net, layer.order, epoch), "mean": 0.1,
                    "zeros": np.nan if layer.conv == 0 else 0.5,
                    "grad_norm": 0.01 * layer.order if iteration else np.nan,
                    "weight_norm": 3.0, "n_images": 256,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def write_probed(folder: Path | str, net: str = "resnet-8", *, epochs: int = 3, **rest) -> Path:
    """Write a whole run with probes and return its directory; arguments as of `tiny.write_run`."""
    path = write_run(folder, net, epochs=epochs, **rest)
    spec = load_run(path).config.net
    with open_writer(path) as writer:
        writer.append("probes", probes(spec, epochs))
        if spec.kind != "plain":
            writer.append("probe_blocks", probe_blocks(spec, epochs))
    return path
