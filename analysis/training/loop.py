"""The training of one run, from its first epoch or its last, to the same bits either way.

Everything random follows from (seed, epoch). After each epoch the tables, the weights and then
the status go to disk; a killed process loses at most the epoch under way.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from analysis.data import left_out
from analysis.nets import Net, build
from analysis.runs import Run, RunConfig, RunWriter, load_run, open_writer
from analysis.runs.files import RESUME
from analysis.runs.format import now
from analysis.text import Message
from analysis.training import checkpoint
from analysis.training.distributed import World
from analysis.training.evaluate import evaluate
from analysis.training.hardware import with_safe_layout
from analysis.training.monitor import Monitor, Progress
from analysis.training.prepare import TrainingImages, completed, load_training_images
from analysis.training.recorders import Told, View, recorders
from analysis.training.schedule import learning_rate
from analysis.training.session import Session
from analysis.training.updates import Updates

_WARMING_WINDOW = 50
"""Updates over which `warmup_until` looks at the training error."""

__all__ = ["Progress", "train_run"]


def train_run(
    path: Path | str,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    data_progress: Callable[[int, int], None] | None = None,
    log: Callable[[str], None] | None = None,
    only_queued: bool = False,
) -> Run:
    """Train a prepared run to its end, or go on with one that was cancelled or killed.

    Under torchrun every process calls this with the same path.

    Args:
        path: the run's directory.
        progress: told how far it is, several times a second.
        should_stop: asked as often; True ends the training as cancelled.
        data_progress: told (images decoded, images) while the data set is read the first time.
        log: given a line an epoch, which train.log has too.
        only_queued: do nothing with a run that was cancelled or started since it was queued.

    Returns:
        The run as it then is: `finished` or `cancelled`.

    Raises:
        RunInUse: another process trains it.
        DataError: its images can't be had.
        TrainingFailed: non-finite loss or no memory; the last good weights are kept.
        SpecError: more processes than this machine has GPUs.
    """
    path = Path(path)
    with World(load_run(path).config.compute.device) as world, ExitStack() as stack:
        writer = stack.enter_context(open_writer(path)) if world.main else None
        session = Session(writer, should_stop, path)
        if not session.may_begin(only_queued):
            return load_run(path)
        with session:
            monitor = Monitor(session, world, progress, log)
            config, images = _images(path, writer, world, session.stoppable(data_progress))
            data = config.data_here
            if data is not None and load_run(path).status.epoch == 0:
                for words in (*left_out(data), *_whole_set(config, images)):
                    monitor.log(f"{data.title}: {words}")
            _Trainer(config, images, writer, world, monitor).run(path)
    return load_run(path)


def _images(
    path: Path, writer: RunWriter | None, world: World, progress
) -> tuple[RunConfig, TrainingImages]:
    """Config and images; the main process completes the config before the others read it."""
    images = None
    if writer is not None:
        images = load_training_images(writer.config, progress)
        if writer.config.images is None:
            writer.complete_config(completed(writer.config, images.info))
    world.barrier()
    config = load_run(path).config
    return config, images or load_training_images(config)


def _whole_set(config: RunConfig, images: TrainingImages) -> Iterator[Message]:
    """What to say where a batch is larger than the data."""
    n, batch = len(images.images.train), config.recipe.batch_size if config.recipe else 0
    if batch > n:
        yield Message(
            "{n} training images, fewer than the {batch} of a batch: each update sees all of them",
            n=n, batch=batch,
        )  # fmt: skip


def _errors_of_last_row(path: Path) -> dict[str, Any]:
    """What the status says of errors, from the history, which is written before it."""
    last = load_run(path).history().iloc[-1]
    names = ("train_error", "train_error_clean", "test_error")
    return {name: None if math.isnan(last[name]) else float(last[name]) for name in names}


class _Trainer:
    """One session of one training."""

    def __init__(
        self,
        config: RunConfig,
        images: TrainingImages,
        writer: RunWriter | None,
        world: World,
        monitor: Monitor,
    ) -> None:
        assert config.recipe is not None
        self.recipe = config.recipe
        self.config = config = replace(config, compute=with_safe_layout(config.compute, config.net))
        self.compute = config.compute
        self.images, self.writer, self.world, self.monitor = images, writer, world, monitor
        self.device = world.device(self.compute.device)
        torch.set_num_threads(self.compute.threads or torch.get_num_threads())
        self.channels_last = bool(self.compute.channels_last)
        self.length = self.recipe.length(len(images.images.train))
        self.net = self._build()
        self.updates = Updates(self.net, config, images, world, self.device)
        self.optimizer, self.normalizer = self.updates.optimizer, self.updates.normalizer
        self.told = Told(recorders())
        self.view = View(
            self.net, self.normalizer, self.updates.test, self.updates.test_labels,
            monitor.tick, bool(self.compute.compile),
        )  # fmt: skip

    def _build(self) -> Net:
        net = build(self.config.net, self.config.seed).to(self.device)
        if self.channels_last:
            net = net.to(memory_format=torch.channels_last)
        return net

    def run(self, path: Path) -> None:
        """All epochs that are left, then the measurements at the end."""
        at = checkpoint.restore(path, self.net, self.optimizer)
        if at.epoch == 0 and self.recipe.warmup_until is not None:
            at = replace(at, warming=True)
        self.monitor.begin(self.length, at)
        if self.writer:
            self.writer.cut_tables(at.epoch, at.iteration)
            self.writer.set_status(
                epoch=at.epoch, iteration=at.iteration, epochs_total=self.length.epochs, step=0
            )
            # A kill may have come between the two files of an epoch, or before its status.
            checkpoint.save(self.writer, self.net, self.optimizer, self.normalizer, at)
            if at.epoch:
                self.writer.set_status(**_errors_of_last_row(path))
        if self.compute.compile:
            self.net.compile()  # in place, so that the state dict keeps its names
        self.updates.module = self.world.wrap(self.net)
        self.view.epoch, self.view.iteration = at.epoch, at.iteration
        if at.iteration == 0:
            self._tell("on_start")
        while at.iteration < self.length.iterations:
            at = self._epoch(at)
        self._finish(at)

    def _epoch(self, at: checkpoint.Position) -> checkpoint.Position:
        """Train, evaluate, and put it all on disk; returns the new position."""
        self.monitor.begin_epoch(at.epoch)
        began = time.perf_counter()
        steps = self.length.steps_in(at.epoch)
        loss, error, lr, warming, seen = self._steps(at, steps)
        seconds = time.perf_counter() - began
        self.world.same_buffers(self.net)
        self.monitor.check_net(self.net, lr)
        self.monitor.phase = "evaluating"
        row = {"epoch": at.epoch + 1, "iteration": at.iteration + steps, "lr": lr}
        row |= {"train_loss": loss, "train_error": error, "seconds": seconds}
        row |= {"images_per_second": seen / seconds}
        row |= self._evaluations(last=at.iteration + steps >= self.length.iterations)
        after = checkpoint.Position(
            at.epoch + 1, at.iteration + steps, warming, self.monitor.wall_seconds
        )
        row["wall_seconds"] = after.wall_seconds
        self.view.epoch, self.view.history = after.epoch, row
        self._tell("on_epoch")
        if self.writer:
            self._store(self.writer, after, row)
        return after

    def _store(self, writer: RunWriter, at: checkpoint.Position, row: dict[str, float]) -> None:
        """Tables, then weights, then the status, so that the status never claims too much."""
        self._append(writer)
        checkpoint.save(writer, self.net, self.optimizer, self.normalizer, at)
        if self.compute.keep_weights:
            writer.keep_weights(at.epoch)
        writer.set_status(
            epoch=at.epoch, iteration=at.iteration, step=0, wall_seconds=at.wall_seconds,
            train_error=row["train_error"], test_error=row["test_error"],
            train_error_clean=row.get("train_error_clean"),
            images_per_second=row["images_per_second"], memory_mb=self.monitor.memory_mb,
        )  # fmt: skip
        self.monitor.log(
            f"epoch {at.epoch}/{self.length.epochs}: training error {row['train_error']:.2f} %, "
            f"test error {row['test_error']:.2f} %, loss {row['train_loss']:.4f}, "
            f"learning rate {row['lr']:.4g}, {row['images_per_second']:.0f} images/s"
        )

    def _tell(self, event: str) -> None:
        """Show the net to the recorders, in the process that writes."""
        if self.writer:
            self.told.tell(event, self.view)

    def _append(self, writer: RunWriter) -> None:
        for table, rows in self.told.take():
            writer.append(table, rows)

    def _steps(
        self, at: checkpoint.Position, steps: int
    ) -> tuple[float, float, float, bool, float]:
        """The updates of an epoch: (mean loss, error in percent, last lr, warming, images seen)."""
        self.updates.begin_epoch(at.epoch)
        sums = torch.zeros(3, device=self.device)  # loss, wrong, images
        totals = torch.zeros(3, dtype=torch.float64)
        warming, lr = at.warming, 0.0
        self.net.train()
        for step in range(steps):
            lr = learning_rate(self.recipe, self.length, at.iteration + step, warming)
            sums += self.updates.update(step, lr)
            self.view.iteration = at.iteration + step + 1
            self._tell("on_update")
            if (step + 1) % _WARMING_WINDOW == 0:
                recent = self.world.total(sums.cpu().double())
                warming = warming and float(100 * recent[1] / recent[2]) > self._warm_enough
                totals += sums.cpu().double()
                sums.zero_()
            self.monitor.step(step + 1, sums, lr)
        totals = self.world.total(totals + sums.cpu().double())
        self.monitor.check_finite(float(totals[0]), lr)
        loss, wrong, seen = totals.tolist()
        return loss / seen, 100 * wrong / seen, lr, warming, seen

    @property
    def _warm_enough(self) -> float:
        return self.recipe.warmup_until or 0.0

    def _evaluations(self, last: bool) -> dict[str, float]:
        """Test loss and error; validation error if held out; clean training error at the end."""
        images = self.images
        row: dict[str, float] = {}
        updates = self.updates
        row["test_loss"], row["test_error"] = self._evaluate(updates.test, updates.test_labels)
        if images.val is not None and images.val_labels is not None:
            row["val_error"] = self._evaluate(images.val, images.val_labels)[1]
        if last:
            row["train_error_clean"] = self._evaluate(updates.train, updates.labels)[1]
        return row

    def _evaluate(self, images: Tensor, labels: Tensor) -> tuple[float, float]:
        return evaluate(
            self.net, images, labels, self.normalizer, world=self.world,
            channels_last=self.channels_last, tick=self.monitor.tick,
        )  # fmt: skip

    def _finish(self, at: checkpoint.Position) -> None:
        """Measured responses and refinement on the test images, then the status `finished`."""
        self.monitor.phase = "measuring"
        if self.writer is None:
            return
        self._tell("on_end")
        self._append(self.writer)
        self.writer.set_status(
            state="finished", reason=Message(), ended=now(), seconds_left=None, step=0,
            wall_seconds=self.monitor.wall_seconds, memory_mb=self.monitor.memory_mb,
        )  # fmt: skip
        self.writer.remove(RESUME)
        self.monitor.log(f"finished after {self.monitor.wall_seconds:.0f} s")
