"""Constructed nets as runs: made, measured, and finished as they are.

`construction` makes the nets; here they get weights, errors and layer responses, so that a
constructed net is listed and compared as any other. `evidence.continuation` asks for them, and for
their further training.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
from torch import Tensor

from analysis.construct.construction import block_differences, deepen, stage_statistics
from analysis.data import Normalizer
from analysis.errors import RunError
from analysis.evidence.continuation import trained_with
from analysis.nets import Net
from analysis.responses import Recording
from analysis.responses.recorder import RECORD_BATCH
from analysis.runs import (
    BUNDLED,
    Run,
    RunConfig,
    RunWriter,
    default_folder,
    load_run,
    open_writer,
)
from analysis.runs.files import MODEL
from analysis.runs.format import now
from analysis.runs.provenance import Constructed, Errors
from analysis.training.evaluate import EVALUATION_BATCH, evaluate
from analysis.training.finish import measure
from analysis.training.prepare import TrainingImages, load_training_images
from analysis.training.session import Session
from analysis.weights import load_net, model_tensors

CALIBRATION_IMAGES = 2560
"""Training images whose statistics the inserted BN layers are given."""
CALIBRATION_BATCH = 128


def carry_out(
    path: Path | str,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    data_progress: Callable[[int, int], None] | None = None,
    only_queued: bool = False,
) -> Run:
    """Make and measure a net that `prepare_construction` asked for, in its run.

    Its errors and layer responses are measured over the images of the run it came from; its epoch
    is 0 and its tables say so. The shallower net's errors are measured again beside it, in float32:
    its run may have them in bfloat16, by which a few images change sides. After a kill it begins
    anew.

    Args:
        path: the run's directory.
        progress: told (batches done, all), a few times a second.
        should_stop: asked as often; True ends it as cancelled.
        data_progress: told (images decoded, images) while the data set is read the first time.
        only_queued: do nothing with a run that was cancelled or started since it was queued.

    Returns:
        The run as it then is: `finished` or `cancelled`.

    Raises:
        RunInUse: another process is at it.
        RunError: the shallower net's run is gone, or has no weights.
        DataError: its images can't be had.
    """
    path = Path(path)
    with open_writer(path) as writer:
        session = Session(writer, should_stop)
        if not session.may_begin(only_queued):
            return load_run(path)
        with session:
            ticks = _Ticks(session, progress, data_progress)
            _construct(writer, _base(writer), ticks, session)
    return load_run(path)


def _base(writer: RunWriter) -> Run:
    """The shallower net's run: where it was, else by its whole id where runs are."""
    origin = _origin(writer.config)
    name = origin.run
    folders = (writer.path.parent, BUNDLED, default_folder())
    known = [Path(origin.place)] if origin.place else []
    for path in (*known, *(folder / name for folder in folders)):
        if path.is_dir():
            return load_run(path)
    raise RunError("{run}, of which this net was to be made, is gone", run=name)


def _construct(writer: RunWriter, base: Run, ticks: _Ticks, session: Session) -> None:
    config, origin = writer.config, _origin(writer.config)
    shallow, normalizer = load_net(base)
    images = run_images(base, ticks.decoded)
    ticks.begin(images, origin.calibrated)
    batches = _batches(images.images.train[:CALIBRATION_IMAGES], normalizer, ticks)
    statistics = stage_statistics(shallow, batches) if origin.calibrated else None
    deep = deepen(shallow, config.net.depth, statistics)
    before = _errors(shallow, images, normalizer, ticks)
    measured = _measured(deep, normalizer, images, ticks)
    origin = replace(origin, errors=Errors(*before))
    writer.complete_config(replace(config, origin=origin))
    _finish(writer, deep, normalizer, measured, session.wall_seconds)
    # Only now, since it is asked for again where the last step fails.
    writer.complete_config(replace(config, origin=replace(origin, place="")))


def _origin(config: RunConfig) -> Constructed:
    match config.origin:
        case Constructed() as origin:
            return origin
        case _:
            raise RunError("{net} was not asked for as a construction", net=config.net.name)


class _Ticks:
    """Told after each batch of the two nets' passes: heartbeat, progress, whether to stop."""

    def __init__(
        self,
        session: Session,
        progress: Callable[[int, int], None] | None,
        data_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._session, self._progress = session, progress
        self.decoded = session.stoppable(data_progress)
        self._done, self._all = 0, 0

    def begin(self, images: TrainingImages, calibrates: bool) -> None:
        """Called once the images are there."""
        held = images.images
        evaluated = sum(math.ceil(len(x) / EVALUATION_BATCH) for x in (held.train, held.test))
        self._all = 2 * evaluated + math.ceil(len(held.test) / RECORD_BATCH)
        if calibrates:
            self._all += math.ceil(min(len(held.train), CALIBRATION_IMAGES) / CALIBRATION_BATCH)
        self._measuring = time.perf_counter()

    def __call__(self) -> None:
        self._done = min(self._done + 1, self._all)
        if not self._session.is_due():
            return
        self._session.look()
        spent = time.perf_counter() - self._measuring
        self._session.heartbeat(
            step=self._done, steps_per_epoch=self._all,
            seconds_left=spent / self._done * (self._all - self._done),
        )  # fmt: skip
        if self._progress:
            self._progress(self._done, self._all)


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
    writer: RunWriter,
    net: Net,
    normalizer: Normalizer,
    measured: tuple[dict[str, float], Recording],
    wall_seconds: float,
) -> None:
    row, found = measured
    metadata = {"net": net.spec.name, "epoch": "0"}
    writer.save_tensors(MODEL, model_tensors(net, normalizer), metadata)
    writer.cut_tables(-1)  # of a session that was killed while it wrote them
    writer.append("history", [row])
    writer.append("responses", found.responses)
    if len(found.refinement):
        writer.append("refinement", found.refinement)
    writer.set_status(
        state="finished", train_error_clean=row["train_error_clean"], test_error=row["test_error"],
        ended=now(), step=0, steps_per_epoch=0, seconds_left=None, wall_seconds=wall_seconds,
    )  # fmt: skip


def run_images(run: Run, progress: Callable[[int, int], None] | None = None) -> TrainingImages:
    """The images that a run was trained on, or, for a constructed one, its net's first origin.

    Raises:
        RunError: it names no data.
        DataError: they can't be had or have changed.
    """
    return load_training_images(replace(run.config, recipe=trained_with(run)), progress)


def _batches(images: Tensor, normalizer: Normalizer, ticks: _Ticks) -> Iterator[Tensor]:
    for batch in images.split(CALIBRATION_BATCH):
        yield normalizer.apply(batch)
        ticks()


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
    known = _origin(deep.config).errors
    if known is None:
        raise RunError("{run} has not been measured yet", run=deep.id)
    after = float(deep.status.train_error_clean or 0), float(deep.status.test_error or 0)
    return (
        block_differences(shallow_net, deep_net, batch),
        (known.train, known.test),
        after,
    )
