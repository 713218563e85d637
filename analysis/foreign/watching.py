"""Watching a training loop that is not ours: what it logs becomes a recording while it goes on.

Nothing here may break the loop: an error of ours is one warning. Between probes no hook is on the
module; one on optimizers counts updates.
"""

from __future__ import annotations

import functools
import os
import platform
import socket
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar
from weakref import WeakKeyDictionary

import psutil
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from analysis.errors import SpecError
from analysis.foreign.measuring import observe_with
from analysis.foreign.running import unwrapped
from analysis.foreign.shortcuts import Residuals
from analysis.runs import tables
from analysis.runs.format import RunStatus, now
from analysis.runs.recordings import RecordingInfo
from analysis.runs.watched import RecordingWriter, start_recording
from analysis.text import Message

HEARTBEAT = 10.0
"""Seconds between looks at the clock that are written down."""

_Of = ParamSpec("_Of")
_Result = TypeVar("_Result")


def _harmless(
    method: Callable[Concatenate[Watch, _Of], _Result],
) -> Callable[Concatenate[Watch, _Of], _Result | None]:
    """An error of ours is one warning for each method, and the watched loop goes on."""

    @functools.wraps(method)
    def call(watch: Watch, *args: _Of.args, **kwargs: _Of.kwargs) -> _Result | None:
        if not watch.writes:
            return None
        try:
            return method(watch, *args, **kwargs)
        except Exception as error:
            watch._warn(getattr(method, "__name__", ""), error)
            return None

    return call


class Watch:
    """What `watch` gives: `log` and `probe` it while training; everything is on disk at once."""

    def __init__(
        self, model: nn.Module, name: str, data: str, folder: Path | str | None, epochs: int | None
    ) -> None:
        self._model, self._name, self._data = model, name, data
        self._folder, self._epochs = folder, epochs
        self.writes = _rank() == 0
        """Whether this process writes: under torchrun only one does."""
        self.path: Path | None = None
        """Of the recording, once it has begun."""
        self.epoch = self.iteration = 0
        self._writer: RecordingWriter | None = None
        self._shortcuts: Residuals | None = None
        self._steps: WeakKeyDictionary[torch.optim.Optimizer, int] = WeakKeyDictionary()
        self._warned: set[str] = set()
        self._handle: Any = None
        self._began = self._beat = 0.0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _at: object) -> None:
        self.finish(error)

    def start(self) -> Self:
        """Begin, where `with` does not fit (a callback); `finish` ends it."""
        self._start()
        if self._writer is None:
            self.writes = False
        return self

    @_harmless
    def _start(self) -> None:
        self._began = self._beat = time.monotonic()
        try:
            model = unwrapped(self._model)
        except SpecError:
            model = self._model  # its history can be written; a probe says what is wrong
        count = sum(p.numel() for p in model.parameters() if p.requires_grad)
        info = RecordingInfo(self._name, self._data, type(model).__name__, count, origin="watched")
        process = psutil.Process()
        status = RunStatus(
            "running", epochs_total=self._epochs or 0, pid=process.pid, started=now(),
            pid_started=process.create_time(), host=socket.gethostname(),
            versions={"python": platform.python_version(), "torch": str(torch.__version__)},
        )  # fmt: skip
        self._writer = start_recording(info, status, self._folder)
        self.path = self._writer.path
        self._parameters = {id(p) for p in model.parameters()}
        self._handle = register_optimizer_step_post_hook(self._stepped)

    def _stepped(self, optimizer: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
        self._count(optimizer)

    @_harmless
    def _count(self, optimizer: torch.optim.Optimizer) -> None:
        """An update of the model's weights; gradient accumulation and skipped steps make none."""
        if optimizer not in self._steps:
            owned = (id(p) for group in optimizer.param_groups for p in group["params"])
            self._steps[optimizer] = 0 if self._parameters.intersection(owned) else -sys.maxsize
        self._steps[optimizer] += 1
        self.iteration = max(self.iteration, self._steps[optimizer])
        if time.monotonic() - self._beat > HEARTBEAT:
            self._tell(durable=False)

    def _tell(self, durable: bool = True, **changes: object) -> None:
        if self._writer is not None:
            self._beat = time.monotonic()
            changes |= {"epoch": self.epoch, "iteration": self.iteration}
            seconds = self._beat - self._began
            self._writer.set_status(durable, wall_seconds=seconds, **changes)

    @_harmless
    def log(self, epoch: int | None = None, **values: Any) -> None:
        """Write down an epoch: any column of `history`, errors in percent, losses in nats.

        Args:
            epoch: how many are complete, from 1; by default one more than before. Values of an
                epoch may come in several calls.
            **values: numbers, or tensors of one.
        """
        self.epoch = self.epoch + 1 if epoch is None else int(epoch)
        known = tables.names("history")
        row: dict[str, float] = {
            "iteration": self.iteration, "wall_seconds": time.monotonic() - self._began,
        }  # fmt: skip
        row |= {name: _number(value) for name, value in values.items() if name in known}
        if self._writer is not None:
            self._writer.log(self.epoch, row)
        errors = {n: row[n] for n in ("train_error", "test_error") if n in row}
        self._tell(True, **errors)
        unknown = [name for name in values if name not in known]
        if unknown:
            raise SpecError(
                "log does not know {names}; it knows {known}",
                names=", ".join(unknown),
                known=", ".join(known),
            )

    @_harmless
    def probe(self, batches: Any, epoch: int | None = None) -> None:
        """Measure refinement, responses and zeros over batches, as `observe` does.

        Args:
            batches: the same few hundred images each time: a tensor, or as `observe` takes them.
            epoch: at which this is; by default the last that was logged (0: untrained).
        """
        model = unwrapped(self._model)
        at = self.epoch if epoch is None else int(epoch)
        recording, self._shortcuts = observe_with(model, batches, at, self._shortcuts)
        if self._writer is not None:
            self._writer.append("responses", recording.responses)
            refined = recording.refinement.assign(iteration=self.iteration)
            self._writer.append("refinement", refined)
            if recording.points is not None:
                self._writer.append("points", recording.points)
            self._tell()

    def finish(self, error: BaseException | None = None) -> None:
        """End it: finished, or as what ended the loop says. Its hook is gone after that."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None
        self._finish(error)
        self.writes = False
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    @_harmless
    def _finish(self, error: BaseException | None) -> None:
        if error is None:
            self._tell(state="finished", ended=now())
        elif isinstance(error, Exception):
            reason = Message(
                "the training loop raised {error}", error=f"{type(error).__name__}: {error}"[:500]
            )
            self._tell(state="failed", ended=now(), reason=reason)
        else:
            self._tell(state="cancelled", ended=now(), reason=Message("the training was stopped"))

    def _warn(self, method: str, error: Exception) -> None:
        if method in self._warned:
            return
        self._warned.add(method)
        text = f"Residual Lens can't {method.strip('_')}, and the training goes on: {error}"
        try:
            warnings.warn(text, RuntimeWarning, stacklevel=4)
        except RuntimeWarning:  # where warnings are errors, ours is still none
            print(text, file=sys.stderr)


def watch(
    model: nn.Module,
    name: str,
    data: str = "",
    *,
    folder: Path | str | None = None,
    epochs: int | None = None,
) -> Watch:
    """Watch a training loop of your own; the app's Train and Compare pages show it while it goes.

        with watch(model, name="my-resnet50", data="flowers") as run:
            for epoch in range(epochs):
                ...
                run.log(epoch=epoch + 1, train_error=..., test_error=..., lr=...)
                run.probe(images)

    Args:
        model: any module, in whatever wrapper; under torchrun in every process, rank 0 writes.
        name: what figures call it.
        data: what it is trained on, in words.
        folder: of runs; by default $RESIDUAL_LENS_RUNS, or `runs` in the current directory.
        epochs: how many there will be, for the progress bar.
    """
    return Watch(model, name, data, folder, epochs)


def _number(value: Any) -> float:
    return float(value.detach() if isinstance(value, torch.Tensor) else value)


def _rank() -> int:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank()
    return int(os.environ.get("RANK") or 0)
