"""Filling in the probes of a run that was made without them, from what is still known.

Weights that were kept give every epoch, else the last ones the end; the seed gives the
initialisation. What went by without a record (gradients, epochs whose weights are gone) stays
unknown. The first epoch can be trained again by its seed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from analysis.data import Images, Normalizer
from analysis.data.placing import load_own_images
from analysis.errors import DataError, TrainingFailed
from analysis.nets import build
from analysis.responses.probe import probe, probe_images
from analysis.runs import Run, create_run, load_run, open_writer, tables
from analysis.runs.provenance import Scratch
from analysis.training.hardware import resolve_here
from analysis.training.loop import Progress, train_run
from analysis.weights import load_net

SAME = 0.05
"""Largest relative difference of the first epoch's loss at which it is the same training: another
machine rounds differently, and a training drifts from there."""


@dataclass(frozen=True)
class Filled:
    """What was filled in."""

    epochs: tuple[int, ...]
    """Complete epochs of the new probes; 0 is the initialisation."""
    difference: float | None = None
    """Of the first epoch's loss, trained again, from the recorded one, relative; None: it was
    not trained again."""


def fill_in(
    run: Run,
    first_epoch: bool = False,
    images: Images | None = None,
    progress: Callable[[int, int], None] | None = None,
    training: Callable[[Progress], None] | None = None,
) -> Filled:
    """Add the probes that a run lacks and that can be made.

    Args:
        run: a run that nobody trains at the moment.
        first_epoch: train the first epoch again by the run's seed, for the first updates.
        images: in place of the run's own, whose test images are the probe.
        progress: told (probes made, probes to make).
        training: told how far the first epoch is.

    Raises:
        DataError: its images can't be had or are others.
        RunDamaged: it has no weights.
        TrainingFailed: the first epoch, trained again, does not meet the run's numbers.
    """
    images = images or _images_of(run)
    have = set(run.probes()["epoch"])
    difference = None
    frames: list[dict[str, pd.DataFrame]] = []
    if first_epoch:
        again, difference = _first_epoch(run, training)
        frames.append(again)
        have |= {0, 1}
    todo = [(epoch, path) for epoch, path in _states(run).items() if epoch not in have]
    for done, (epoch, path) in enumerate(todo):
        if progress:
            progress(done, len(todo))
        frames.append(_look(run, images, epoch, path))
    added = _merge(run, frames)
    return Filled(added, difference)


def _images_of(run: Run) -> Images:
    data = run.config.data_here
    if data is None:
        raise DataError(
            "{run} was imported without images, so there is nothing to probe it with; name some of "
            "the same classes with --data",
            run=run.id,
        )
    whole, recipe, info = load_own_images(run), run.config.recipe, run.config.images
    if info is not None and whole.fingerprint != info.fingerprint:
        raise DataError(
            "{data} holds other images now than those that {run} saw (fingerprint {now}, was "
            "{then})",
            data=data, run=run.id, now=whole.fingerprint, then=info.fingerprint,
        )  # fmt: skip
    return whole.subset(recipe.train_images, recipe.test_images) if recipe else whole


def _states(run: Run) -> dict[int, Path | None]:
    """Where the weights of each known epoch are; None: they follow from the seed."""
    states: dict[int, Path | None] = {0: None} if isinstance(run.config.origin, Scratch) else {}
    states |= run.kept_weights()
    if run.has_weights:
        states.setdefault(run.status.epoch, run.weights_path)
    if not states:
        run.check_weights()
    return states


def _look(run: Run, images: Images, epoch: int, path: Path | None) -> dict[str, pd.DataFrame]:
    history = run.history()
    row = history[history["epoch"] == epoch]
    iteration = run.status.iteration if epoch and row.empty else 0
    if len(row):
        iteration = int(row["iteration"].iloc[0])
    if path is None:
        net, normalizer = build(run.config.net, run.config.seed), Normalizer.fit(images.train)
    else:
        net, normalizer = load_net(run, file=path)
    looked = probe_images(images.test, images.test_labels)
    return probe(net, looked, normalizer, epoch, iteration, batch_statistics=path is None)


def _first_epoch(
    run: Run, training: Callable[[Progress], None] | None
) -> tuple[dict[str, pd.DataFrame], float]:
    """The first epoch's probes, trained again, and how far its loss is from the recorded one."""
    reached = [0]

    def told(at: Progress) -> None:
        reached[0] = at.epoch
        if training:
            training(at)

    with tempfile.TemporaryDirectory() as folder:
        compute = resolve_here(run.config.compute)
        path = create_run(folder, replace(run.config, compute=compute, images=None), "again")
        train_run(path, told, should_stop=lambda: reached[0] >= 1)
        again = load_run(path)
        losses = [float(r.history()["train_loss"].iloc[0]) for r in (again, run)]
        difference = abs(losses[0] / losses[1] - 1)
        if difference > SAME:
            raise TrainingFailed(
                "the first epoch of {run}, trained again by its seed, ends at a loss of {now:.4f} "
                "in place of {then:.4f}: it does not tell what the first updates were",
                run=run.id, now=losses[0], then=losses[1],
            )  # fmt: skip
        found = {name: again.table(name) for name in ("probes", "probe_blocks")}
        return {name: frame[frame["epoch"] <= 1] for name, frame in found.items()}, difference


def _merge(run: Run, frames: list[dict[str, pd.DataFrame]]) -> tuple[int, ...]:
    epochs: set[int] = set()
    with open_writer(run.path) as writer:
        for name in ("probes", "probe_blocks"):
            new = [frame[name] for frame in frames if name in frame]
            if not new:
                continue
            whole = pd.concat([*new, run.table(name)]).drop_duplicates(
                ["epoch", "iteration", "order", "layer" if name == "probes" else "block_name"]
            )
            ordered = whole.sort_values(["epoch", "iteration", "order"], kind="stable")
            writer.replace_table(name, ordered[tables.names(name)])
            epochs |= {int(epoch) for frame in new for epoch in frame["epoch"].unique()}
    return tuple(sorted(epochs))
