"""Defining a run before it starts: its directory, its config, and the images that it will see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from analysis.data import Images, Normalizer, load_images
from analysis.errors import DataError
from analysis.runs import ImagesInfo, RunConfig, create_run, open_writer
from analysis.runs.format import now
from analysis.runs.provenance import Provenance, Scratch
from analysis.specs import Compute, DataSpec, NetSpec, Recipe
from analysis.training.hardware import resolve, with_safe_layout


def prepare_run(
    folder: Path | str, net: NetSpec, recipe: Recipe, data: DataSpec, *,
    seed: int = 0, compute: Compute = Compute(), command: str = "",
    origin: Provenance = Scratch(), run_id: str | None = None,
) -> Path:  # fmt: skip
    """Make a run's directory, ready for `train_run`, without looking at the images yet.

    Returns:
        The directory, in `folder`.

    Raises:
        RunError: the folder can't be written or the name is taken.
    """
    config = RunConfig(
        net=net, recipe=recipe, data=data, images=None, seed=seed, compute=compute,
        created=now(), command=command, origin=origin,
    )  # fmt: skip
    return create_run(folder, config, run_id)


def move_run(path: Path, compute: Compute) -> None:
    """Have a run that has begun go on with another device, precision or number of threads.

    What computed it until then is kept in train.log and, by the next session, in its status.

    Raises:
        SpecError: there is no such device here.
        RunInUse: another process trains it.
    """
    with open_writer(path) as writer:
        resolved, before = resolve(compute, images=0), writer.config.compute
        if writer.config.images is None or resolved == before:
            writer.complete_config(replace(writer.config, compute=compute))
            return
        writer.complete_config(replace(writer.config, compute=resolved))
        words = [f"{c.device} in {c.precision}" for c in (before, resolved)]
        writer.log(
            f"goes on after epoch {writer.status.epoch} on {words[1]}, until here {words[0]}"
        )


@dataclass(frozen=True)
class TrainingImages:
    """What one training sees, after subsets and the hold-out."""

    images: Images
    val: Tensor | None
    """(N, 3, H, W) uint8, held out of training; None without a validation split."""
    val_labels: Tensor | None
    normalizer: Normalizer
    info: ImagesInfo


def load_training_images(
    config: RunConfig, progress: Callable[[int, int], None] | None = None
) -> TrainingImages:
    """The images of a run, checked against what its config says of them.

    Raises:
        DataError: they can't be had, have other classes than the net, or changed since the start.
    """
    assert config.data is not None
    assert config.recipe is not None
    recipe = config.recipe
    whole = load_images(config.data_here, progress=progress)  # ty: ignore[invalid-argument-type]
    _check_classes(config, whole)
    images = whole.subset(recipe.train_images, recipe.test_images)
    subset = len(images.train) < len(whole.train) or len(images.test) < len(whole.test)
    val = val_labels = None
    if recipe.validation:
        images, val, val_labels = images.hold_out(recipe.validation)
    info = images.info(subset)
    if config.images is not None and config.images.fingerprint != info.fingerprint:
        raise DataError(
            "{data} is not what this run began with (fingerprint {fingerprint}, "
            "was {recorded}): put the old images back, or start a new run",
            data=config.data,
            fingerprint=info.fingerprint,
            recorded=config.images.fingerprint,
        )
    return TrainingImages(images, val, val_labels, Normalizer.fit(images.train), info)


def _check_classes(config: RunConfig, images: Images) -> None:
    found = len(images.classes)
    if found != config.net.classes:
        raise DataError(
            "{net} has {classes} classes, {data} has {found}; build the net with {found} classes",
            net=config.net.name,
            classes=config.net.classes,
            data=config.data,
            found=found,
        )


def completed(config: RunConfig, info: ImagesInfo) -> RunConfig:
    """The config with all that the start of training knows: images and resolved compute."""
    assert config.recipe is not None
    batches = config.recipe.length(info.n_train).iterations
    compute = resolve(config.compute, images=batches * config.recipe.batch_size)
    return replace(config, images=info, compute=with_safe_layout(compute, config.net))
