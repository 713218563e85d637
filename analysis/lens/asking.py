"""Questions to nets, answered by a process of their own.

A pass of a small net is hundreds of short calls of torch. Each gives Python's lock away, and where
another thread is busy it waits up to 5 ms to get it back: beside one thread that drew a figure, an
attribution of 0.4 s took 12 s. A process of its own has its own lock. It starts with the first
question, keeps the nets that it was asked of, and ends with the process that asks. Images of data
sets come from it as well, so that the process that asks does without torch, whose import takes
seconds and 500 MB. Where they were never decoded on this machine, other questions wait meanwhile.
"""

from __future__ import annotations

import atexit
import os
import pickle
import queue
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.errors import LensError, busy
from analysis.runs import Run, load_run
from analysis.runs.files import CONFIG
from analysis.runs.learned import PROBE, Effect, Lesion, Origin
from analysis.runs.stamps import Stamp, stamp
from analysis.specs import DataSpec

if TYPE_CHECKING:
    from torch import Tensor

    from analysis.data import Images, Normalizer
    from analysis.lens.laboratory import Laboratory
    from analysis.nets import Net

PROCESSES = max(min((os.cpu_count() or 1) // 4, 4), 1)
"""Each takes some 400 MB, and shares its work out over the processor's threads."""
_PATIENCE = 60.0
"""Seconds that a question waits for a process."""
_NETS, _BENCHES, _SETS = 32, 2, 2
"""That a process keeps."""
_ROOT = Path(__file__).resolve().parents[2]


class _Process:
    """One process, started with its first question and again where it was ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def answer(self, work: Callable[..., Any], given: tuple) -> tuple[bool, Any]:
        """Whether `work(*given)` failed there, and what it returned or raised.

        Raises:
            EOFError, OSError, UnpicklingError: the process was ended.
        """
        if self._process is None:
            # Its input is closed when this process is gone, however it went, and then it ends.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "analysis.lens.asking", str(Path().absolute())],
                cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(pickle.dumps((work, given)))  # whole, or not at all
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)  # of our own process

    def end(self) -> None:
        """Leave nothing of it."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None


_processes = [_Process() for _number in range(PROCESSES)]
_free: queue.LifoQueue[_Process] = queue.LifoQueue()
"""Those that answer nothing now: first the one that was asked last, which knows nets."""
for _process in _processes:
    _free.put(_process)


@atexit.register
def _end_all() -> None:
    for process in _processes:
        process.end()


@cache
def prepare() -> None:
    """Start a process, and load torch in it, while nothing was asked yet: once."""
    Thread(target=_answered, args=(_load,), daemon=True).start()


def ask(question: str, run: Run, pixels: np.ndarray, *given: object) -> Any:
    """What a question `f(net, x, *given)` returns, where x is the net's input of a picture.

    Args:
        question: a function of this package by its module and name: `activations.probe`.
        run: whose net is asked.
        pixels: uint8 (H, W, 3).
        given: what it is told besides; like the answer, it must pickle.

    Raises:
        RunDamaged: the run has no whole weights.
        LensError: the process was ended, twice.
    """
    batch = pixels.transpose(2, 0, 1)[None]
    return _answered(_answer, question, run.path.absolute(), stamp(run.weights_path), batch, given)


def check(run: Run) -> None:
    """Load a run's net, for the questions that follow.

    Raises:
        RunDamaged: it has no whole weights.
    """
    _answered(_check, run.path.absolute(), stamp(run.weights_path))


def ask_for_effect(run: Run, lesion: Lesion) -> Effect:
    """What a lesion does to a run's net on `PROBE` of its test images.

    Args:
        run: any run with weights.
        lesion: of the net's blocks.

    Raises:
        RunDamaged: it has no whole weights.
        DataError: as `own_images.images_of`.
        KeyError, ValueError: as `Laboratory.logits`.
    """
    return _answered(_effect, _place(run), stamp(run.weights_path), lesion)


def ask_for_classes(run: Run) -> tuple[tuple[str, ...], np.ndarray]:
    """The classes of a run's data, and of each test image its own: int64 (N,).

    Raises:
        DataError: as `own_images.images_of`.
    """
    return _answered(_classes, _place(run))


def ask_for_test_image(run: Run, number: int) -> np.ndarray:
    """One of a run's test images: uint8 (H, W, 3).

    Raises:
        DataError: as `own_images.images_of`.
    """
    return _answered(_test_image, _place(run), number)


def ask_for_images(origin: Origin, numbers: Sequence[int]) -> np.ndarray:
    """Some of the images that a survey is of: uint8 (n, H, W, 3).

    Args:
        origin: of the survey.
        numbers: of the images, as the survey counts them.

    Raises:
        DataError: they can't be had any more, or they have changed.
    """
    return _answered(_images, replace(origin, data=origin.data_here), list(numbers))


_Place = tuple[Path, Stamp, DataSpec | None]
"""Of a run: its folder, its config's stamp, and where its images are on this machine."""


def _place(run: Run) -> _Place:
    return run.path.absolute(), stamp(run.path / CONFIG), run.config.data_here


def _answered(work: Callable[..., Any], *given: object) -> Any:
    """By one of the processes; once more where it was ended meanwhile."""
    try:
        process = _free.get(timeout=_PATIENCE)
    except queue.Empty:
        raise busy() from None
    try:
        for _time in range(2):
            try:
                failed, answer = process.answer(work, given)
                break
            except (EOFError, OSError, pickle.UnpicklingError):
                process.end()
        else:
            raise LensError(
                "The process that looks into nets was ended twice by the system, which may be out "
                "of memory. Close other programs, then try again."
            )
    finally:
        _free.put(process)
    if failed:
        raise answer
    return answer


# What follows runs in the process that is asked.


def _serve() -> None:
    """Answer what comes by standard input, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the asker
    os.chdir(sys.argv[1])  # its folder, since paths in the environment may be relative
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed is no answer
    while True:
        try:
            work, given = pickle.load(questions)  # of our own process
        except EOFError:
            return
        try:
            answer = pickle.dumps((False, work(*given)))
        except Exception as error:
            error.add_note("".join(traceback.format_tb(error.__traceback__)))
            answer = pickle.dumps((True, error))
        answers.write(answer)
        answers.flush()


def _load() -> None:
    import analysis.lens.activations
    import analysis.weights  # noqa: F401


def _answer(question: str, path: Path, seen: Stamp, batch: np.ndarray, given: tuple) -> Any:
    from analysis.lens.threads import share_threads

    share_threads(PROCESSES)
    module, _dot, name = question.partition(".")
    function = getattr(import_module(f"{__package__}.{module}"), name)
    return function(_net(path, seen)[0], _input(path, seen, batch), *given)


def _images(origin: Origin, numbers: list[int]) -> np.ndarray:
    return _surveyed(origin)[numbers].permute(0, 2, 3, 1).numpy()


@lru_cache(_SETS)
def _surveyed(origin: Origin) -> Tensor:
    from analysis.lens.survey import surveyed_images

    return surveyed_images(origin)


def _check(path: Path, seen: Stamp) -> None:
    _net(path, seen)


@lru_cache(_NETS)
def _net(path: Path, seen: Stamp) -> tuple[Net, Normalizer]:
    from analysis.weights import load_net

    return load_net(load_run(path))


def _input(path: Path, seen: Stamp, batch: np.ndarray) -> Tensor:
    import torch

    return _net(path, seen)[1].apply(torch.from_numpy(batch.copy()))


def _effect(place: _Place, seen: Stamp, lesion: Lesion) -> Effect:
    from analysis.lens.lesions import effect_of
    from analysis.lens.threads import share_threads

    share_threads(PROCESSES)
    return effect_of(*_bench(place, seen), lesion)


@lru_cache(_BENCHES)
def _bench(place: _Place, seen: Stamp) -> tuple[Laboratory, Tensor]:
    """The probe of a run on its net, and the images' classes."""
    from analysis.lens.laboratory import Laboratory

    probe, (net, normalizer) = _own_images(place).subset(test=PROBE), _net(place[0], seen)
    return Laboratory(net, normalizer.apply(probe.test)), probe.test_labels


def _classes(place: _Place) -> tuple[tuple[str, ...], np.ndarray]:
    images = _own_images(place)
    return images.classes, images.test_labels.numpy()


def _test_image(place: _Place, number: int) -> np.ndarray:
    return _own_images(place).test[number].permute(1, 2, 0).numpy()


@lru_cache(_SETS)
def _own_images(place: _Place) -> Images:
    """Memory-mapped."""
    from analysis.lens.own_images import images_of

    run = load_run(place[0])
    return images_of(replace(run, config=replace(run.config, data=place[2])))[0]


if __name__ == "__main__":
    from analysis.lens import asking

    asking._serve()  # by that name, so that what it keeps is where questions look for it
