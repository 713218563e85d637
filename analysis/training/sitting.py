"""One sitting of work on a run: what its status says when it begins and however it ends."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from analysis.errors import LensError, RunError, TrainingFailed
from analysis.runs import Run, RunConfig, RunWriter, load_run
from analysis.runs.format import now
from analysis.runs.resuming import check_resumable
from analysis.text import Message
from analysis.training.hardware import describe_machine, describe_versions, resolve


class Stopped(Exception):
    """Somebody asked the work to stop."""


def may_begin(writer: RunWriter, only_queued: bool = False) -> bool:
    """Whether there is something to do; takes back that it was asked to stop, unless since queued.

    Args:
        writer: of the run, which is locked by it.
        only_queued: leave alone what was cancelled or started since it was queued.

    Raises:
        RunError: the run can't go on, saying why.
    """
    check_resumable(Run(writer.path, writer.config, writer.status), locked=True)
    if writer.status.state != "queued":
        if only_queued:
            return False
        writer.clear_cancel()
    return True


@contextmanager
def recorded(path: Path, writer: RunWriter | None) -> Generator[None]:
    """Work on a run: running while it lasts, and if it does not reach its end, why not.

    A stop that was asked for ends it quietly. Without a writer nothing is recorded: another
    process of the same training does it.

    Args:
        path: the run's directory.
        writer: of the run; None in the other processes of a training.

    Raises:
        TrainingFailed: in place of errors of torch that a person can do something about.
    """
    try:
        if writer:
            _start(writer)
        yield
    except Stopped:
        _set_status(writer, state="cancelled", reason=Message("cancelled"), ended=now())
    except KeyboardInterrupt:
        by_hand = Message("interrupted at the keyboard")
        _set_status(writer, state="cancelled", reason=by_hand, ended=now())
        raise
    except LensError as error:
        _set_status(writer, state="failed", reason=error.message, ended=now())
        raise
    except (MemoryError, RuntimeError) as error:
        # Read now: when the work began, the device may not have been resolved yet.
        failure = _known_failure(load_run(path).config, error)
        if failure is None:
            raise
        _set_status(writer, state="failed", reason=failure.message, ended=now())
        raise failure from error


def _known_failure(config: RunConfig, error: Exception) -> TrainingFailed | None:
    """What to tell of an error of torch that a person can do something about."""
    if _is_want_of_memory(error):
        return _too_large(config, error)
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return TrainingFailed(
            "torch.compile can't compile {net} here: {reason} Train it with --no-compile.",
            net=config.net.name,
            reason=_first_line(error),
        )
    return None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _is_want_of_memory(error: Exception) -> bool:
    # On CPUs, PyTorch says it with a plain RuntimeError.
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return "can't allocate memory" in str(error) or "out of memory" in str(error).lower()


def _too_large(config: RunConfig, error: Exception) -> TrainingFailed:
    if config.recipe is None:
        return TrainingFailed(
            "{net} can't be measured in the memory that is free: {reason}. Close other programs.",
            net=config.net.name,
            reason=_first_line(error),
        )
    device = config.compute.device
    remedy = Message("Use a smaller --batch-size or a smaller net.")
    if device != "cpu":
        remedy = Message("Use a smaller --batch-size or a smaller net, or --device cpu.")
    return TrainingFailed(
        "{net} does not fit in the memory of {device}: {reason}. {remedy}",
        net=config.net.name,
        device=device,
        reason=_first_line(error),
        remedy=remedy,
    )


def _start(writer: RunWriter) -> None:
    import psutil

    process = psutil.Process()
    writer.set_status(
        state="running", reason=Message(), ended="", step=0, seconds_left=None, pid=process.pid,
        pid_started=process.create_time(), started=writer.status.started or now(),
        versions=describe_versions(),
        machine=_machine(writer),
    )  # fmt: skip


def _machine(writer: RunWriter) -> dict[str, Any]:
    """This machine, with those of earlier sessions that were others."""
    here = describe_machine(resolve(writer.config.compute).device)
    before = dict(writer.status.machine)
    earlier = before.pop("earlier", [])
    if before and before != here:
        earlier = [*earlier, before]
    return here | ({"earlier": earlier} if earlier else {})


def _set_status(writer: RunWriter | None, **changes: Any) -> None:
    if writer is None:
        return
    with suppress(RunError):  # a full disk: it then shows as interrupted, what it had is whole
        writer.set_status(**changes)
