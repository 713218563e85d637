"""Telling how far a training is, and stopping it: heartbeat, time left, cancel, non-finite loss."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from analysis.errors import TrainingFailed
from analysis.jobs.processes import peak_memory_mb
from analysis.specs import Length
from analysis.training.checkpoint import Position
from analysis.training.distributed import World
from analysis.training.session import Session

Phase = Literal["training", "evaluating", "measuring"]

_SYNC_EVERY = 10
"""Updates between looks where several processes must agree."""


class NonFinite(TrainingFailed):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Progress:
    """How far a training is."""

    phase: Phase
    epoch: int
    """Complete epochs."""
    epochs: int
    step: int
    """Updates done of the epoch under way."""
    steps: int
    images_per_second: float | None
    seconds_left: float | None
    train_error: float | None
    """Running, of the last few updates, percent."""


class Monitor:
    """Watches one session of one training."""

    def __init__(
        self,
        session: Session,
        world: World,
        progress: Callable[[Progress], None] | None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.session, self.writer = session, session.writer
        self.world, self._log, self._progress = world, log, progress
        self.phase: Phase = "training"
        self._started = time.perf_counter()
        self._step = self._epoch = 0
        self._step_seconds: float | None = None
        self._train_error: float | None = None

    def begin(self, length: Length, at: Position) -> None:
        """Called once, when it is known where the training stands."""
        self.length, self._at_start = length, at
        self._started = time.perf_counter()

    @property
    def wall_seconds(self) -> float:
        """Time spent on the run in all its sessions."""
        return self._at_start.wall_seconds + time.perf_counter() - self._started

    @property
    def memory_mb(self) -> float:
        """Peak resident memory of this process, MiB."""
        return peak_memory_mb()

    def log(self, line: str) -> None:
        """Add a line to train.log, and give it to whoever asked for the log."""
        if self.writer is not None:
            self.writer.log(line)
            if self._log is not None:
                self._log(line)

    def begin_epoch(self, epoch: int) -> None:
        """Called before the first update of an epoch, counted from 0."""
        self.phase, self._epoch, self._step = "training", epoch, 0
        self._epoch_began = time.perf_counter()

    def step(self, step: int, sums: Tensor, lr: float) -> None:
        """Called after each update with the running (loss, wrong, images).

        Raises:
            Stopped: it was cancelled.
            NonFinite: the loss is infinite or not a number.
        """
        self._step = step
        if step % _SYNC_EVERY == 0 if self.world.size > 1 else self.session.is_due():
            loss, wrong, seen = sums.tolist()
            self.check_finite(loss, lr)
            if seen:
                self._train_error = 100 * wrong / seen
            self._step_seconds = (time.perf_counter() - self._epoch_began) / step
            self.tick()

    def check_finite(self, loss: float, lr: float) -> None:
        """Raises NonFinite where `loss` is infinite or not a number."""
        bad = torch.tensor(float(not math.isfinite(loss)))
        if float(self.world.total(bad)):
            raise NonFinite(
                "the loss became infinite or not a number in epoch {epoch}, update "
                "{step}, at learning rate {lr:.4g}. The weights of epoch {whole} are "
                "kept; try a smaller --lr or another seed.",
                epoch=self._epoch + 1,
                step=self._step,
                lr=lr,
                whole=self._epoch,
            )

    def check_net(self, net: nn.Module, lr: float) -> None:
        """Before an epoch counts, and anything of it is written: whether all of the net is finite.

        A net may diverge with a finite loss: BN divides by a variance that has become infinite.

        Raises:
            NonFinite: weights or BN statistics are infinite or not a number.
        """
        state = {n: v for n, v in net.state_dict().items() if v.is_floating_point()}
        sums = torch.stack([v.detach().float().abs().max().cpu() for v in state.values()])
        wrong = [n for n, ok in zip(state, sums.isfinite().tolist(), strict=True) if not ok]
        if wrong:
            raise NonFinite(
                "the training diverged in epoch {epoch}, at learning rate {lr:.4g}: {count} of "
                "{all} tensors are infinite or not numbers, such as {tensor}. The weights of "
                "epoch {whole} are kept; try a smaller --lr or another seed.",
                epoch=self._epoch + 1, lr=lr, count=len(wrong), all=len(state), tensor=wrong[0],
                whole=self._epoch,
            )  # fmt: skip

    def tick(self) -> None:
        """Heartbeat, progress, and a look whether to stop. Raises Stopped."""
        if self.world.size == 1 and not self.session.is_due():
            return
        self.session.look(self._asked_to_stop)
        progress = self._now()
        rate = progress.images_per_second
        self.session.heartbeat(
            step=progress.step, steps_per_epoch=progress.steps, seconds_left=progress.seconds_left,
            wall_seconds=self.wall_seconds, **({"images_per_second": rate} if rate else {}),
        )  # fmt: skip
        if self._progress is not None and self.world.main:
            self._progress(progress)

    def _asked_to_stop(self) -> bool:
        """Whether somebody asked; several processes agree on it, or one would wait for ever."""
        if self.phase != "training" and self.world.size > 1:
            return False  # each evaluates as many batches as it has; they meet at the next update
        return bool(float(self.world.total(torch.tensor(float(self.session.asked())))))

    def _now(self) -> Progress:
        done = self._epoch * self.length.steps_per_epoch + self._step
        seconds = left = rate = None
        if self._step_seconds:
            seconds = self._seconds_a_step(done)
            left = max(self.length.iterations - done, 0) * seconds
            began = self._epoch_began
            rate = None if self.phase != "training" else self._step / (time.perf_counter() - began)
        images = None if rate is None or self.writer is None else rate * self._batch_size
        return Progress(
            self.phase, self._epoch, self.length.epochs, self._step,
            self.length.steps_in(min(self._epoch, self.length.epochs - 1)), images, left,
            self._train_error,
        )  # fmt: skip

    @property
    def _batch_size(self) -> int:
        recipe = self.writer.config.recipe if self.writer else None
        return recipe.batch_size if recipe else 0

    def _seconds_a_step(self, done: int) -> float:
        """With evaluation and saving, once an epoch of this session has had them."""
        steps = done - self._at_start.iteration
        if self._epoch > self._at_start.epoch:
            return (time.perf_counter() - self._started) / max(steps, 1)
        return self._step_seconds or 0.0
