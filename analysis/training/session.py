"""One session of work: what its run's status says from beginning to end, and how it is stopped.

Training, constructing, surveying, fitting and timing all work in one. Work that belongs to no run
has a session without a writer: it is stopped, and its errors are told, in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from analysis.errors import LensError, RunError, TrainingFailed
from analysis.jobs.processes import peak_memory_mb
from analysis.runs import Run, RunConfig, RunWriter, load_run
from analysis.runs.format import now
from analysis.runs.resuming import check_resumable
from analysis.text import Message
from analysis.training.hardware import describe_machine, describe_versions, resolve

LOOK_EVERY = 0.25
"""Seconds between looks whether to stop."""
HEARTBEAT_EVERY = 2.0
"""Seconds between rewrites of status.json."""

Progress = Callable[[int, int], object]
"""Told (done, all)."""


class Stopped(Exception):
    """Somebody asked the work to stop."""


class Session:
    """A context manager: its run is `running` while it lasts, and if it fails, the run says why.

    A stop that was asked for ends it quietly: `stopped` is then True. Out of memory, and what
    torch.compile refuses, leave it as `TrainingFailed`.

    Args:
        writer: of the run that is worked on. None where there is no run, or where another process
            of the same training records it.
        should_stop: asked some times a second; True stops the work. So does the run's cancel file.
        path: of the run, where there is no writer.
        net: what is worked on, for messages, where there is no run.
    """

    def __init__(
        self,
        writer: RunWriter | None = None,
        should_stop: Callable[[], bool] | None = None,
        path: Path | None = None,
        net: str = "",
    ) -> None:
        self.writer, self.stopped = writer, False
        self._should_stop, self._path, self._net = should_stop, path, net
        self._looked = self._beat = 0.0
        self._began = time.perf_counter()

    def may_begin(self, only_queued: bool = False) -> bool:
        """Whether there is something to do; forgets a stop asked of an earlier session.

        Args:
            only_queued: leave alone what was cancelled or started since it was queued.

        Raises:
            RunError: the run can't go on, saying why.
        """
        writer = self.writer
        if writer is None:
            return True
        check_resumable(Run(writer.path, writer.config, writer.status), locked=True)
        if writer.status.state != "queued":
            if only_queued:
                return False
            writer.clear_cancel()
        return True

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        try:
            self._start()
        except LensError as error:
            self._end("failed", error.message)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _at: TracebackType | None,
    ) -> bool:
        match error:
            case None:
                self._forget_cancel()
            case Stopped():
                self.stopped = True
                self._end("cancelled", Message("cancelled"))
            case KeyboardInterrupt():
                self._end("cancelled", Message("interrupted at the keyboard"))
            case LensError():
                self._end("failed", error.message)
            case MemoryError() | RuntimeError():
                failure = self._known_failure(error)
                if failure is not None:
                    self._end("failed", failure.message)
                    raise failure from error
        return self.stopped

    @property
    def wall_seconds(self) -> float:
        """Since this session began."""
        return time.perf_counter() - self._began

    def asked(self) -> bool:
        """Whether somebody asked to stop."""
        by_file = self.writer is not None and self.writer.cancel_asked()
        return by_file or (self._should_stop is not None and self._should_stop())

    def is_due(self) -> bool:
        """Whether it is time to `look` again: some times a second."""
        return time.perf_counter() - self._looked >= LOOK_EVERY

    def look(self, asked: Callable[[], bool] | None = None) -> None:
        """Raises Stopped where somebody asked to stop, by `asked` where it is given."""
        self._looked = time.perf_counter()
        if (asked or self.asked)():
            raise Stopped

    def heartbeat(self, **status: Any) -> None:
        """Write into the run's status how far it is, at most every two seconds."""
        at = time.perf_counter()
        if self.writer is not None and at - self._beat > HEARTBEAT_EVERY:
            self._beat = at
            memory = {"memory_mb": peak_memory_mb(), "wall_seconds": self.wall_seconds}
            self.writer.set_status(durable=False, **(memory | status))

    def stoppable(self, progress: Progress | None = None) -> Callable[[int, int], None]:
        """The progress of a part of the work that raises Stopped where somebody asked to stop."""

        def told(done: int, total: int) -> None:
            if self.is_due():
                self.look()
            if progress:
                progress(done, total)

        return told

    def _start(self) -> None:
        import psutil

        writer = self.writer
        if writer is None:
            return
        process = psutil.Process()
        writer.set_status(
            state="running", reason=Message(), ended="", step=0, seconds_left=None, pid=process.pid,
            pid_started=process.create_time(), started=writer.status.started or now(),
            versions=describe_versions(), machine=_machine(writer),
        )  # fmt: skip

    def _end(self, state: str, reason: Message) -> None:
        if self.writer is None:
            return
        with suppress(RunError):  # a full disk: it then shows as interrupted, what it had is whole
            self.writer.set_status(state=state, reason=reason, ended=now())
        self._forget_cancel()

    def _forget_cancel(self) -> None:
        # After the status: whoever asks from now on sees that it has ended.
        if self.writer is not None:
            with suppress(OSError, RunError):  # another machine has taken the run over, say
                self.writer.clear_cancel()

    def _known_failure(self, error: Exception) -> TrainingFailed | None:
        """What to tell of an error of torch that a person can do something about."""
        # Read now: when the work began, the device may not have been resolved yet.
        config = self.writer.config if self.writer else None
        if config is None and self._path is not None:
            config = load_run(self._path).config
        net = config.net.name if config else self._net
        if _is_out_of_memory(error):
            return _too_large(net, config, error)
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            return TrainingFailed(
                "torch.compile can't compile {net} here: {reason} Train it with --no-compile.",
                net=net,
                reason=_first_line(error),
            )
        return None


def _machine(writer: RunWriter) -> dict[str, Any]:
    """This machine, with those of earlier sessions that were others."""
    here = describe_machine(resolve(writer.config.compute).device)
    before = dict(writer.status.machine)
    earlier = before.pop("earlier", [])
    if before and before != here:
        earlier = [*earlier, before]
    return here | ({"earlier": earlier} if earlier else {})


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _is_out_of_memory(error: Exception) -> bool:
    # On CPUs, PyTorch says it with a plain RuntimeError.
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return "can't allocate memory" in str(error) or "out of memory" in str(error).lower()


def _too_large(net: str, config: RunConfig | None, error: Exception) -> TrainingFailed:
    if config is None or config.recipe is None:
        return TrainingFailed(
            "{net} can't be measured in the memory that is free: {reason}. Close other programs.",
            net=net,
            reason=_first_line(error),
        )
    device = config.compute.device
    remedy = Message("Use a smaller --batch-size or a smaller net.")
    if device != "cpu":
        remedy = Message("Use a smaller --batch-size or a smaller net, or --device cpu.")
    return TrainingFailed(
        "{net} does not fit in the memory of {device}: {reason}. {remedy}",
        net=net,
        device=device,
        reason=_first_line(error),
        remedy=remedy,
    )
