"""Constructed nets as runs: finished as they are, and measured.

`construction` makes the nets; here they get a directory, errors and layer responses, so that a
constructed net is listed and compared as any other. `analysis.continuation` trains them on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd
from torch import Tensor

from analysis.data import Normalizer
from analysis.errors import RunError
from analysis.lens.construction import (
    block_differences,
    deepen,
    deeper_spec,
    stage_statistics,
)
from analysis.nets import Net
from analysis.responses import Recording
from analysis.responses.recorder import RECORD_BATCH
from analysis.runs import Run, RunConfig, create_run, load_run, open_writer
from analysis.runs.files import MODEL
from analysis.runs.format import new_run_id, now
from analysis.spec import Recipe
from analysis.training.evaluate import EVALUATION_BATCH, evaluate
from analysis.training.finish import measure
from analysis.training.hardware import describe_machine, describe_versions
from analysis.training.prepare import TrainingImages, load_training_images
from analysis.weights import load_net, model_tensors

CALIBRATION_IMAGES = 2560
"""Training images whose statistics the inserted BN layers are given."""
CALIBRATION_BATCH = 128


def construct_run(
    run: Run,
    depth: int,
    folder: Path | str,
    *,
    calibrate: bool = True,
    command: str = "",
    progress: Callable[[int, int], None] | None = None,
    done: Callable[[float], None] | None = None,
) -> Path:
    """Keep a constructed net as a run.

    Its errors and layer responses are measured over the images of the run it came from; its epoch
    is 0 and its tables say so. The shallower net's errors are measured again beside it, in float32:
    its run may have them in bfloat16, by which a few images change sides.

    Args:
        run: the run of the shallower net.
        depth: of the new net.
        folder: where runs go.
        calibrate: set the inserted BN layers from training images, so that a plain net is close
            to its shallower one in training mode too.
        command: the command line that makes this run.
        progress: told (images decoded, images) while the data set is read the first time.
        done: told the share of the measuring that is done, from 0 to 1, after each batch.

    Returns:
        The new run's directory.

    Raises:
        SpecError: as `deeper_spec`.
        RunError: the run has no weights yet or names no data; the folder can't be written.
        DataError: its images can't be had.
    """
    deep_spec = deeper_spec(run.config.net, depth)
    shallow, normalizer = load_net(run)
    images = run_images(run, progress)
    batches = _batches(images.images.train[:CALIBRATION_IMAGES], normalizer)
    deep = deepen(shallow, depth, stage_statistics(shallow, batches) if calibrate else None)
    share = _Share(images, done)
    before = _errors(shallow, images, normalizer, share)
    origin = {
        "kind": "construction", "from": run.id, "net": run.net, "calibrated": calibrate,
        "recipe": _trained_with(run).to_dict(),
        "errors": dict(zip(("train", "test"), before, strict=True)),
    }  # fmt: skip
    config = RunConfig(
        net=deep_spec, recipe=None, data=run.config.data, images=run.config.images,
        seed=run.config.seed, compute=run.config.compute, created=now(), command=command,
        origin=origin,
    )  # fmt: skip
    measured = _measured(deep, normalizer, images, share)
    path = create_run(folder, config, new_run_id(config))
    _finish(path, deep, normalizer, measured)
    return path


class _Share:
    """Counts batches of the two nets' passes, and tells the share that is done."""

    def __init__(self, images: TrainingImages, told: Callable[[float], None] | None) -> None:
        held = images.images
        evaluated = sum(math.ceil(len(x) / EVALUATION_BATCH) for x in (held.train, held.test))
        self._all = 2 * evaluated + math.ceil(len(held.test) / RECORD_BATCH)
        self._told, self._done = told, 0

    def __call__(self) -> None:
        self._done += 1
        if self._told:
            self._told(min(self._done / self._all, 1.0))


def _errors(
    net: Net, images: TrainingImages, normalizer: Normalizer, tick: Callable[[], None]
) -> tuple[float, float]:
    """(training, test) error in percent."""
    held = images.images
    return (
        evaluate(net, held.train, held.train_labels, normalizer, tick=tick)[1],
        evaluate(net, held.test, held.test_labels, normalizer, tick=tick)[1],
    )


def _measured(
    net: Net, normalizer: Normalizer, images: TrainingImages, tick: Callable[[], None]
) -> tuple[dict[str, float], Recording]:
    """The history's row and the responses of a net that is not trained on."""
    held = images.images
    train_loss, train_error = evaluate(net, held.train, held.train_labels, normalizer, tick=tick)
    test_loss, test_error = evaluate(net, held.test, held.test_labels, normalizer, tick=tick)
    row = {
        "epoch": 0, "iteration": 0, "train_loss": train_loss, "train_error_clean": train_error,
        "test_loss": test_loss, "test_error": test_error,
    }  # fmt: skip
    return row, measure(net, held.test, normalizer, 0, tick=tick)


def _finish(
    path: Path, net: Net, normalizer: Normalizer, measured: tuple[dict[str, float], Recording]
) -> None:
    """Write what was measured, and close the run: until then nobody sees it as one that waits."""
    row, found = measured
    with open_writer(path) as writer:
        metadata = {"net": net.spec.name, "epoch": "0"}
        writer.save_tensors(MODEL, model_tensors(net, normalizer), metadata)
        writer.append("history", [row])
        writer.append("responses", found.responses)
        if len(found.refinement):
            writer.append("refinement", found.refinement)
        writer.set_status(
            state="finished", train_error_clean=row["train_error_clean"],
            test_error=row["test_error"],
            started=now(), ended=now(), versions=describe_versions(),
            machine=describe_machine("cpu"),
        )  # fmt: skip


def run_images(run: Run, progress: Callable[[int, int], None] | None = None) -> TrainingImages:
    """The images that a run was trained on, or, for a constructed one, its net's first origin.

    Raises:
        RunError: it names no data.
        DataError: they can't be had or have changed.
    """
    return load_training_images(replace(run.config, recipe=_trained_with(run)), progress)


def _trained_with(run: Run) -> Recipe:
    """The recipe that chose a run's images: its own, or that of the run it was constructed from."""
    if run.config.data is None:
        raise RunError(
            "{run} names no data set, so a net made of it can't be measured or trained on; "
            "take a run that was trained here",
            run=run.id,
        )
    if run.config.recipe is not None:
        return run.config.recipe
    known = run.config.origin.get("recipe")
    return Recipe.from_dict(known) if known else Recipe("all images", epochs=1)


def _batches(images: Tensor, normalizer: Normalizer) -> Iterable[Tensor]:
    return (normalizer.apply(batch) for batch in images.split(CALIBRATION_BATCH))


def compare_runs(
    run: Run, deep: Run, n_images: int = 256
) -> tuple[pd.DataFrame, tuple[float, float], tuple[float, float]]:
    """A run and what was constructed of it, held side by side over the same images.

    Args:
        run: the shallower net's run.
        deep: the constructed one's, not trained on.
        n_images: test images for the differences.

    Returns:
        `block_differences` over the first test images; (training, test) error in percent of the
        shallower net; the same of the deeper; both as `construct_run` measured them.
    """
    shallow_net, normalizer = load_net(run)
    deep_net, _own = load_net(load_run(deep.path))
    batch = normalizer.apply(run_images(run).images.test[:n_images])
    known = deep.config.origin["errors"]
    after = float(deep.status.train_error_clean or 0), float(deep.status.test_error or 0)
    return (
        block_differences(shallow_net, deep_net, batch),
        (known["train"], known["test"]),
        after,
    )
