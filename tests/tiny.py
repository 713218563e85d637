"""Tiny runs on disk made by formulas: whole, readable, and known in advance. No torch, no images.

`write_run` goes through the same door as training (`create_run`, `open_writer`), so a run from
here is listed, read and drawn as any other. Nothing in it was trained: it is for tests only.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from analysis.runs import ImagesInfo, RunConfig, create_run, open_writer
from analysis.runs.checks import weight_shapes
from analysis.specs import Compute, DataSpec, NetSpec, Recipe, plan

FINGERPRINT = "00000000000000aa"
STEPS = 20
"""Updates an epoch."""


def errors(net: NetSpec, epoch: int) -> tuple[float, float]:
    """Running training error and test error in percent.

    They fall from 90 to a floor that rises with depth in plain nets and falls in residual ones.
    """
    depth = math.log2(net.depth / 8)
    floor = 8 + 4 * depth if net.kind == "plain" else 8 - 1.2 * depth
    wiggle = 0.6 * math.sin(2.1 * epoch + net.depth)
    train = max(floor + (90 - floor) * math.exp(-epoch / 5) + wiggle, 0.0)
    return train, train + 4 * (1 - math.exp(-epoch / 8)) + 0.8 * math.sin(3.7 * epoch)


def response_std(net: NetSpec, order: int, epoch: int) -> float:
    """Smaller in residual nets, and smaller the deeper they are, as in Fig. 7."""
    scale = 1.0 if net.kind == "plain" else 0.75 * (20 / net.depth) ** 0.3
    zigzag = 1.0 if net.kind == "plain" else 1 - 0.45 * (order % 2)
    trend = 1 - 0.35 * order / net.depth + 0.08 * math.sin(1.7 * order)
    return scale * zigzag * trend * (1 + 0.5 * math.exp(-epoch / 4))


def history(net: NetSpec, epochs: int) -> pd.DataFrame:
    """A row an epoch from 1; the last one has the clean training error, 1 below the running."""
    seconds = 0.1 * net.depth
    rows = []
    for epoch in range(1, epochs + 1):
        train, test = errors(net, epoch)
        rows.append(
            {
                "epoch": epoch,
                "iteration": epoch * STEPS,
                "lr": 0.1,
                "train_loss": train / 30,
                "train_error": train,
                "train_error_clean": train - 1 if epoch == epochs else np.nan,
                "val_error": np.nan,
                "test_loss": test / 30,
                "test_error": test,
                "seconds": seconds,
                "images_per_second": 1000.0,
                "wall_seconds": epoch * seconds,
            }
        )
    return pd.DataFrame(rows)


def responses(net: NetSpec, epochs: int) -> pd.DataFrame:
    """Closed-form rows at every epoch and measured ones, 1 % higher, at the last."""
    layers = [layer for layer in plan.layers(net) if layer.bn]
    epoch = np.repeat(np.arange(1, epochs + 1), len(layers))
    columns = {
        name: np.tile(np.array([getattr(layer, name) for layer in layers], dtype=object), epochs)
        for name in ("name", "order", "stage", "block", "conv", "kernel")
    }
    closed = pd.DataFrame({"epoch": epoch, **columns}).rename(columns={"name": "layer"})
    closed["source"] = "closed_form"
    closed["std"] = [
        response_std(net, o, e) for o, e in zip(closed["order"], closed["epoch"], strict=True)
    ]
    closed["mean"], closed["n_images"] = 0.1, 0
    measured = closed[closed["epoch"] == epochs].copy()
    measured["source"], measured["n_images"] = "measured", 100
    measured["std"] *= 1.01
    return pd.concat([closed, measured], ignore_index=True)


def weights(net: NetSpec) -> dict[str, np.ndarray]:
    """Zeros in the shapes of the convolutions and the linear layer, a byte each."""
    shapes = dict(weight_shapes(net))
    return {name: np.zeros(shape, np.int8) for name, shape in shapes.items()}


def write_run(
    folder: Path | str,
    net: str = "plain-8",
    *,
    epochs: int = 3,
    seed: int = 0,
    recipe: Recipe | None = None,
    data: str = "digits",
    fingerprint: str = FINGERPRINT,
    state: str = "finished",
    run_id: str | None = None,
) -> Path:
    """Write a whole run and return its directory.

    Args:
        folder: the folder of runs.
        net: short name of the net.
        epochs: complete epochs.
        seed: as in the config.
        recipe: `quick` with these epochs (at least one) by default.
        data: a data set's name.
        fingerprint: of the images; runs with another one are not comparable.
        state: as in status.json.
        run_id: the directory's name; a made one by default.
    """
    spec = NetSpec.parse(net)
    recipe = recipe or Recipe.parse("quick", epochs=max(epochs, 1))
    classes = tuple(str(digit) for digit in range(10))
    config = RunConfig(
        net=spec,
        recipe=recipe,
        data=DataSpec.parse(data),
        images=ImagesInfo(fingerprint, 2560, 1000, classes),
        seed=seed,
        compute=Compute(),
        created="2026-11-24T00:00:00+00:00",
        command=f"python -m analysis train --net {net} --data {data} --recipe {recipe.name}",
    )
    path = create_run(folder, config, run_id or f"2026-11-24_{net}_{recipe.label}_s{seed}_tiny")
    save_file(weights(spec), path / "model.safetensors")
    train, test = errors(spec, epochs)
    with open_writer(path) as writer:
        if epochs:
            writer.append("history", history(spec, epochs))
            writer.append("responses", responses(spec, epochs))
        writer.set_status(
            state=state,
            epoch=epochs,
            iteration=epochs * STEPS,
            epochs_total=recipe.epochs or epochs,
            train_error=train if epochs else None,
            train_error_clean=train - 1 if state == "finished" else None,
            test_error=test if epochs else None,
        )
    return path


def write_damaged(folder: Path | str, run_id: str = "2026-11-23_damaged") -> Path:
    """Write a directory that is no whole run: its config is torn in the middle."""
    path = Path(folder) / run_id
    path.mkdir(parents=True)
    (path / "config.json").write_text('{"format": 1, "net": {', encoding="utf-8")
    return path
