"""The training of one run, from its first epoch or its last, to the same bits either way.

Everything random follows from (seed, epoch). After each epoch the tables, the weights and then
the status go to disk; a killed process loses at most the epoch under way.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from analysis.data import crop_flip, draw_augmentation, epoch_generator, epoch_order
from analysis.nets import Net, build
from analysis.responses import closed_form
from analysis.runs import Run, RunConfig, RunWriter, load_run, open_writer
from analysis.runs.files import RESUME
from analysis.runs.format import now
from analysis.text import Message
from analysis.training import checkpoint, sitting
from analysis.training.distributed import World
from analysis.training.evaluate import evaluate
from analysis.training.finish import measure
from analysis.training.monitor import Monitor, Progress
from analysis.training.prepare import TrainingImages, completed, load_training_images
from analysis.training.schedule import learning_rate

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
    """
    path = Path(path)
    with World() as world, ExitStack() as stack:
        writer = stack.enter_context(open_writer(path)) if world.main else None
        if writer and not sitting.may_begin(writer, only_queued):
            return load_run(path)
        with sitting.recorded(path, writer):
            monitor = Monitor(writer, world, progress, should_stop, log)
            config, images = _images(path, writer, world, monitor.stoppable(data_progress))
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


def _errors_of_last_row(path: Path) -> dict[str, Any]:
    """What the status says of errors, from the history, which is written before it."""
    last = load_run(path).history().iloc[-1]
    names = ("train_error", "train_error_clean", "test_error")
    return {name: None if math.isnan(last[name]) else float(last[name]) for name in names}


class _Trainer:
    """One sitting of one training."""

    def __init__(
        self,
        config: RunConfig,
        images: TrainingImages,
        writer: RunWriter | None,
        world: World,
        monitor: Monitor,
    ) -> None:
        assert config.recipe is not None
        self.config, self.recipe, self.compute = config, config.recipe, config.compute
        self.images, self.writer, self.world, self.monitor = images, writer, world, monitor
        self.device = world.device(self.compute.device)
        torch.set_num_threads(self.compute.threads or torch.get_num_threads())
        self.bfloat16 = self.compute.precision == "bfloat16"
        self.channels_last = bool(self.compute.channels_last)
        self.normalizer = images.normalizer.to(self.device)
        self.length = self.recipe.length(len(images.images.train))
        self.net = self._build()
        self.optimizer = torch.optim.SGD(
            self.net.parameters(),
            self.recipe.lr,
            momentum=self.recipe.momentum,
            weight_decay=self.recipe.weight_decay,
        )

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
            self.writer.cut_tables(at.epoch)
            self.writer.set_status(
                epoch=at.epoch, iteration=at.iteration, epochs_total=self.length.epochs, step=0
            )
            # A kill may have come between the two files of an epoch, or before its status.
            checkpoint.save(self.writer, self.net, self.optimizer, self.normalizer, at)
            if at.epoch:
                self.writer.set_status(**_errors_of_last_row(path))
        if self.compute.compile:
            self.net.compile()  # in place, so that the state dict keeps its names
        self.module = self.world.wrap(self.net)
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
        self.monitor.phase = "evaluating"
        row = {"epoch": at.epoch + 1, "iteration": at.iteration + steps, "lr": lr}
        row |= {"train_loss": loss, "train_error": error, "seconds": seconds}
        row |= {"images_per_second": seen / seconds}
        row |= self._evaluations(last=at.iteration + steps >= self.length.iterations)
        after = checkpoint.Position(
            at.epoch + 1, at.iteration + steps, warming, self.monitor.wall_seconds
        )
        row["wall_seconds"] = after.wall_seconds
        if self.writer:
            self._store(self.writer, after, row)
        return after

    def _store(self, writer: RunWriter, at: checkpoint.Position, row: dict[str, float]) -> None:
        """Tables, then weights, then the status, so that the status never claims too much."""
        writer.append("history", [row])
        writer.append("responses", closed_form(self.net, at.epoch))
        checkpoint.save(writer, self.net, self.optimizer, self.normalizer, at)
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

    def _steps(
        self, at: checkpoint.Position, steps: int
    ) -> tuple[float, float, float, bool, float]:
        """The updates of an epoch: (mean loss, error in percent, last lr, warming, images seen)."""
        train, labels = self.images.images.train, self.images.images.train_labels
        order = epoch_order(len(train), self.config.seed, at.epoch)
        generator = epoch_generator(self.config.seed, at.epoch)
        sums = torch.zeros(3, device=self.device)  # loss, wrong, images
        totals = torch.zeros(3, dtype=torch.float64)
        warming, lr = at.warming, 0.0
        self.net.train()
        for step in range(steps):
            indices = order[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]
            lr = learning_rate(self.recipe, self.length, at.iteration + step, warming)
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            batch, wanted = self._batch(train, labels, indices, generator)
            sums += self._update(batch, wanted, len(indices))
            if (step + 1) % _WARMING_WINDOW == 0:
                recent = self.world.total(sums.double().cpu())
                warming = warming and float(100 * recent[1] / recent[2]) > self._warm_enough
                totals += sums.double().cpu()
                sums.zero_()
            self.monitor.step(step + 1, sums, lr)
        totals = self.world.total(totals + sums.double().cpu())
        self.monitor.check_finite(float(totals[0]), lr)
        loss, wrong, seen = totals.tolist()
        return loss / seen, 100 * wrong / seen, lr, warming, seen

    @property
    def _warm_enough(self) -> float:
        return self.recipe.warmup_until or 0.0

    def _batch(
        self, train: Tensor, labels: Tensor, indices: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """This process's part of a batch: (n, 3, H, W) float32 and (n,) on the device.

        The random numbers are drawn for the whole batch, so that any number of processes sees the
        same augmented images.
        """
        share = self.world.share
        mine = share(indices)
        images = train.index_select(0, mine).to(self.device, non_blocking=True)
        if self.recipe.augment:
            drawn = draw_augmentation(len(indices), generator, flip=self.recipe.flip)
            images = crop_flip(images, *(share(values) for values in drawn))
        batch = self.normalizer.apply(images, channels_last=self.channels_last)
        return batch, labels[mine].to(self.device, non_blocking=True)

    def _update(self, batch: Tensor, wanted: Tensor, whole: int) -> Tensor:
        """One step of SGD; returns (summed loss, wrong, images) of this process's part."""
        # The last batch of an epoch has its own size: run it uncompiled rather than compile twice.
        odd = whole != self.recipe.batch_size and self.compute.compile and self.world.size == 1
        forward = self.net.forward if odd else self.module
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            logits = forward(batch).float()
        loss = F.cross_entropy(logits, wanted, reduction="sum")
        # DDP averages over processes: weighing by the whole batch makes it the batch's mean.
        (loss * (self.world.size / whole)).backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            wrong = (logits.argmax(1) != wanted).sum()
            return torch.stack([loss.detach(), wrong.float(), torch.tensor(len(wanted)).to(loss)])

    def _evaluations(self, last: bool) -> dict[str, float]:
        """Test loss and error; validation error if held out; clean training error at the end."""
        images = self.images
        row: dict[str, float] = {}
        row["test_loss"], row["test_error"] = self._evaluate(
            images.images.test, images.images.test_labels
        )
        if images.val is not None and images.val_labels is not None:
            row["val_error"] = self._evaluate(images.val, images.val_labels)[1]
        if last:
            train = images.images.train, images.images.train_labels
            row["train_error_clean"] = self._evaluate(*train)[1]
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
        test = self.images.images.test
        # Hooks would have a compiled net compiled again, and broken into pieces at each of them.
        eager = torch.compiler.set_stance("force_eager") if self.compute.compile else nullcontext()
        with eager:
            found = measure(self.net, test, self.normalizer, at.epoch, tick=self.monitor.tick)
        self.writer.append("responses", found.responses)
        if len(found.refinement):
            self.writer.append("refinement", found.refinement)
        self.writer.set_status(
            state="finished", reason=Message(), ended=now(), seconds_left=None, step=0,
            wall_seconds=self.monitor.wall_seconds, memory_mb=self.monitor.memory_mb,
        )  # fmt: skip
        self.writer.remove(RESUME)
        self.monitor.log(f"finished after {self.monitor.wall_seconds:.0f} s")
