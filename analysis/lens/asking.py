"""Questions to nets, answered by a process of their own.

A pass of a small net is hundreds of short calls of torch. Each gives Python's lock away, and where
another thread is busy it waits up to 5 ms to get it back: beside one thread that drew a figure, an
attribution of 0.4 s took 12 s. A process of its own has its own lock. It starts with the first
question, keeps the nets that it was asked of, and ends when nobody has asked for some minutes or
when the process that asks is gone.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from loky import ProcessPoolExecutor, get_reusable_executor

from analysis.errors import LensError
from analysis.runs import Run, load_run
from analysis.runs.stamps import Stamp, stamp

if TYPE_CHECKING:
    from torch import Tensor

    from analysis.data import Normalizer
    from analysis.lens.laboratory import Laboratory, Lesion
    from analysis.lens.lesions import Effect
    from analysis.nets import Net

PROCESSES = max(min((os.cpu_count() or 1) // 4, 4), 1)
"""Each takes some 400 MB, and shares its work out over the processor's threads."""
PATIENCE = 600
"""Seconds without a question after which a process ends."""
_NETS, _BENCHES = 32, 2
"""That a process keeps."""


def prepare() -> None:
    """Start a process, and load torch in it, while nothing was asked yet."""
    _executor().submit(_load)


def ask(question: Callable[..., Any], run: Run, pixels: np.ndarray, *given: object) -> Any:
    """What `question(net, x, *given)` returns, where x is the net's input of a picture.

    Args:
        question: a function of a module.
        run: whose net is asked.
        pixels: uint8 (H, W, 3).
        given: what it is told besides; like the answer, it must pickle.

    Raises:
        RunDamaged: the run has no whole weights.
        LensError: the process was ended, twice.
    """
    batch = pixels.transpose(2, 0, 1)[None]
    return _answered(_answer, question, run.path, stamp(run.weights_path), batch, given)


def check(run: Run) -> None:
    """Load a run's net, for the questions that follow.

    Raises:
        RunDamaged: it has no whole weights.
    """
    _answered(_check, run.path, stamp(run.weights_path))


def ask_for_effect(run: Run, pixels: Tensor, labels: Tensor, lesion: Lesion) -> Effect:
    """What a lesion does to a run's net on some images, whose way through it is kept.

    Args:
        run: any run with weights.
        pixels: uint8 (N, 3, H, W).
        labels: int64 (N,).
        lesion: of the net's blocks.

    Raises:
        RunDamaged: it has no whole weights.
        KeyError, ValueError: as `Laboratory.logits`.
    """
    images = pixels.numpy()
    known = run.path, stamp(run.weights_path), images.tobytes(), images.shape
    return _answered(_effect, known, labels.numpy(), lesion)


def _answered(work: Callable[..., Any], *given: object) -> Any:
    """By one of the processes; by another one where it was ended meanwhile."""
    for _time in range(2):
        try:
            answer: Future = _executor().submit(work, *given)
            return answer.result()
        except BrokenProcessPool:
            continue
    raise LensError(
        "The process that looks into nets was ended twice by the system, which may be out of "
        "memory. Close other programs, then try again."
    )


def _executor() -> ProcessPoolExecutor:
    return get_reusable_executor(
        PROCESSES, timeout=PATIENCE, initializer=_begin, initargs=(os.getpid(),)
    )


# What follows runs in the process that is asked.


def _begin(asker: int) -> None:
    """Leave Ctrl-C to the asker, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(psutil.Process(asker),), daemon=True).start()


def _end_with(asker: psutil.Process) -> None:
    while asker.is_running() and asker.status() != psutil.STATUS_ZOMBIE:
        time.sleep(5)
    os._exit(0)


def _load() -> None:
    import analysis.lens.attribution  # noqa: F401


def _answer(
    question: Callable[..., Any], path: Path, seen: Stamp, batch: np.ndarray, given: tuple
) -> Any:
    from analysis.lens.threads import share_threads

    share_threads(PROCESSES)
    return question(_net(path, seen)[0], _input(path, seen, batch), *given)


def _check(path: Path, seen: Stamp) -> None:
    _net(path, seen)


@lru_cache(_NETS)
def _net(path: Path, seen: Stamp) -> tuple[Net, Normalizer]:
    from analysis.weights import load_net

    return load_net(load_run(path))


def _input(path: Path, seen: Stamp, batch: np.ndarray) -> Tensor:
    import torch

    return _net(path, seen)[1].apply(torch.from_numpy(batch.copy()))


def _effect(known: tuple, labels: np.ndarray, lesion: Lesion) -> Effect:
    import torch

    from analysis.lens.lesions import effect_of
    from analysis.lens.threads import share_threads

    share_threads(PROCESSES)
    return effect_of(_bench(*known), torch.from_numpy(labels.copy()), lesion)


@lru_cache(_BENCHES)
def _bench(path: Path, seen: Stamp, pixels: bytes, shape: tuple[int, ...]) -> Laboratory:
    from analysis.lens.laboratory import Laboratory

    batch = np.frombuffer(pixels, np.uint8).reshape(shape)
    return Laboratory(_net(path, seen)[0], _input(path, seen, batch))
