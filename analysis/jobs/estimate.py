"""What a training will take, before it starts: time, disk and memory, and whether there is room.

Time follows from images a second: of an earlier run or timed steps of the same net on this machine,
else of another net scaled by multiply-adds, and the estimate says which. Knows nothing of torch:
timed steps run in a process of their own.
"""

from __future__ import annotations

import functools
import heapq
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from analysis.errors import RunError, SpecError, TrainingFailed
from analysis.jobs.gpus import gpus
from analysis.jobs.request import Request
from analysis.runs import Run
from analysis.runs.files import exists, is_folder, told, write_json
from analysis.runs.remembering import remembered
from analysis.specs import DataSpec, NetSpec, class_folders, plan
from analysis.specs.datasets import IMAGE_ENDINGS
from analysis.text import Listed, Message

Basis = Literal["same", "scaled", "elsewhere", "none"]

RATES = ".rates.json"
"""In the runs folder: what timed steps have found."""
_FORWARD_SHARE = 1 / 3
"""Of a training step's time; going backward takes about twice as long as forward."""
_START_SECONDS = 8.0
_ROW_BYTES = 120
_TORCH_BYTES = 650 * 2**20
_TENSORS_A_LAYER = 3.2
"""Kept for going backward: the outputs of convolution, BN and ReLU."""
_NEWEST = 5
"""Runs of one net that its rate is taken from."""
_SPARE_DISK = 100 * 2**20
_GIB = 2**30


@dataclass(frozen=True)
class Rate:
    """How fast some net was trained."""

    net: str
    images_per_second: float
    multiply_adds: int
    threads: int | None
    device: str
    here: bool
    """Whether it was on this machine."""
    when: str = ""


@dataclass(frozen=True)
class Estimate:
    """What one training will take."""

    net: str
    seconds: float | None
    """On this machine, if nothing else runs; None where nothing is known."""
    images_per_second: float | None
    basis: Basis
    """`same`: this net on this machine; `scaled`: another net on this machine; `elsewhere`."""
    based_on: str
    """The net whose rate was used; empty where it was those of many."""
    disk: int
    """Bytes of the finished run."""
    disk_peak: int
    """Bytes while it trains: momentum, and a second copy of what is being written."""
    memory: int
    """Bytes of its process."""


def estimate(request: Request, rates: Iterable[Rate]) -> Estimate:
    """What a training will take, from what is known of earlier ones."""
    n_train, n_test = count_images(request)
    images, epochs = images_in_all(request, n_train, n_test)
    rate, basis, based_on = _best_rate(request, list(rates))
    disk, peak = disk_bytes(request, epochs)
    return Estimate(
        net=request.net.name,
        seconds=None if rate is None else images / rate + _START_SECONDS,
        images_per_second=rate,
        basis=basis,
        based_on=based_on,
        disk=disk,
        disk_peak=peak,
        memory=memory_bytes(request.net, request.recipe.batch_size, n_train, n_test),
    )


def count_images(request: Request) -> tuple[int, int]:
    """(training, test) images that the recipe takes; a folder's files are counted.

    Raises:
        SpecError: validation leaves nothing to train on.
    """
    known = request.data.known
    n_train, n_test = (known.n_train, known.n_test) if known else _count_files(request.data)
    recipe = request.recipe
    if n_train and recipe.validation >= min(n_train, recipe.train_images or n_train):
        raise SpecError(
            "{held} images held out for validation leave none to train on: {data} has {n_train}",
            held=recipe.validation,
            data=request.data,
            n_train=n_train,
        )
    n_train = min(n_train, recipe.train_images or n_train) - recipe.validation
    return max(n_train, 1), max(min(n_test, recipe.test_images or n_test), 1)


def _count_files(data: DataSpec) -> tuple[int, int]:
    def count(split: str) -> int:
        folder = Path(str(data.path)) / split
        if not is_folder(folder):
            return 0
        with told(folder):
            classes = [folder / name for name in class_folders(folder)]
            return sum(
                entry.name.lower().endswith(IMAGE_ENDINGS) or entry.is_dir()
                for path in classes
                for entry in os.scandir(path)
            )

    return count("train"), count("test")


def images_in_all(request: Request, n_train: int, n_test: int) -> tuple[float, int]:
    """(images in units of a training step's work, epochs), evaluations included."""
    recipe = request.recipe
    length = recipe.length(n_train)
    trained = length.iterations / length.steps_per_epoch * n_train
    evaluated = length.epochs * (n_test + recipe.validation) + n_train + n_test
    return trained + _FORWARD_SHARE * evaluated, length.epochs


def disk_bytes(request: Request, epochs: int) -> tuple[int, int]:
    """(bytes of the finished run, most bytes while it trains)."""
    layers = plan.layers(request.net)
    weights = 4 * sum(layer.parameters + 2 * layer.c_out for layer in layers)
    rows = _ROW_BYTES * (len(layers) * (epochs + 1) + 2 * epochs)
    finished = weights + rows + 32 * 2**10
    return finished, finished + 2 * weights + 2 * weights


@functools.lru_cache(maxsize=1024)  # a queue of thousands is looked through twice a second
def memory_bytes(net: NetSpec, batch_size: int, n_train: int, n_test: int) -> int:
    """Bytes of the training process, within a third or so; no batch is larger than the data.

    Where nobody has counted the images yet, the numbers are 0.
    """
    layers = plan.layers(net, net.image_size)
    outputs = sum(layer.c_out * layer.map_size**2 for layer in layers)
    activations = 4 * _TENSORS_A_LAYER * outputs * min(batch_size, n_train or batch_size)
    weights = 16 * sum(layer.parameters for layer in layers)
    return int(_TORCH_BYTES + activations + weights + (n_train + n_test) * 3 * net.image_size**2)


def memory_of(run: Run) -> int:
    """The same of a run that trains or waits; little of one that trains nothing."""
    recipe, images = run.config.recipe, run.config.images
    known = run.config.data.known if run.config.data else None
    counted = images or known
    numbers = (counted.n_train, counted.n_test) if counted else (0, 0)
    return memory_bytes(run.config.net, recipe.batch_size if recipe else 0, *numbers)


def _best_rate(request: Request, rates: list[Rate]) -> tuple[float | None, Basis, str]:
    device = request.compute.device
    wanted = plan.multiply_adds(request.net)
    here = [r for r in rates if r.here and (device == "auto" or r.device.startswith(device))]
    if not here:
        return _rate_elsewhere(rates, device, wanted)

    def distance(rate: Rate) -> tuple:
        same_threads = request.compute.threads in (None, rate.threads)
        scale = abs(math.log(rate.multiply_adds / wanted))
        return not same_threads, rate.net != request.net.name, scale

    # The newest of the equally near.
    here.sort(key=lambda rate: rate.when, reverse=True)
    best = min(here, key=distance)
    scaled = best.images_per_second * best.multiply_adds / wanted
    return scaled, "same" if best.net == request.net.name else "scaled", best.net


def _rate_elsewhere(
    rates: Sequence[Rate], device: str, wanted: int
) -> tuple[float | None, Basis, str]:
    """From other machines' runs on a device like the one it will have: the median of all."""
    if device == "auto":
        device = "cuda" if gpus() else "cpu"  # a GPU's speed says nothing of a machine without one
    work = [r.images_per_second * r.multiply_adds for r in rates if r.device.startswith(device)]
    return (statistics.median(work) / wanted, "elsewhere", "") if work else (None, "none", "")


def known_rates(runs: Iterable[Run], folder: Path | str) -> list[Rate]:
    """From runs that trained at least an epoch, and from timed steps.

    Of the runs of one net on like machines the median of the newest few: one that had to share the
    machine does not count for more than the others, and few histories are read.
    """
    alike: dict[tuple, list[Run]] = {}
    for run in runs:
        if run.status.images_per_second and run.status.epoch:
            config = run.config
            on = config.compute.device, config.compute.threads, _is_here(run)
            alike.setdefault((config.net, config.image_size, *on), []).append(run)
    newest = (
        heapq.nlargest(_NEWEST, same, key=lambda run: run.status.heartbeat)
        for same in alike.values()
    )
    return [_rate_of(same) for same in newest] + timed_rates(folder)


def _is_here(run: Run) -> bool:
    return is_this_machine(run.status.machine) and not run.bundled


def _rate_of(same: Sequence[Run]) -> Rate:
    """Of runs of one net on like machines, the newest first."""
    run = same[0]
    return Rate(
        net=run.net,
        images_per_second=statistics.median(map(_typical_rate, same)),
        multiply_adds=run.multiply_adds,
        threads=run.config.compute.threads,
        device=run.config.compute.device,
        here=_is_here(run),
        when=run.status.heartbeat,
    )


def _typical_rate(run: Run) -> float:
    """Median over epochs: the first one compiles, and another may have had to share the machine."""
    if run.status.machine.get("earlier"):  # whose epochs were as fast as that one
        return float(run.status.images_per_second or 0)
    with suppress(RunError):
        if median := _median_rate(run):
            return median
    return float(run.status.images_per_second or 0)


@remembered
def _median_rate(run: Run) -> float:
    """Images per second over a run's epochs; 0 where none has any. Raises RunDamaged."""
    median = run.history()["images_per_second"].median()
    return float(median) if math.isfinite(median) else 0.0


def is_this_machine(machine: dict[str, Any]) -> bool:
    """Whether a run's machine is like this one, as far as can be told."""
    return all(machine.get(name) == value for name, value in _here().items())


@functools.cache  # asked of thousands of runs
def _here() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"}


def timed_rates(folder: Path | str) -> list[Rate]:
    """What timed steps have found before; none where the file is not readable."""
    try:
        rows = json.loads((Path(folder) / RATES).read_text(encoding="utf-8"))["rates"]
        return [Rate(**row) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def time_steps(request: Request, folder: Path | str, seconds: float = 3.0) -> Rate:
    """Train the net for a few steps on random images in a process of its own; remembered.

    Raises:
        TrainingFailed: it does not run here, most likely for want of memory; the message says why.
    """
    asked = {
        "net": request.net.to_dict(),
        "batch_size": min(request.recipe.batch_size, count_images(request)[0]),
        "compute": request.compute.to_dict(),
        "seconds": seconds,
    }
    command = [sys.executable, "-m", "analysis.training.timing", json.dumps(asked)]
    root = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        raise TrainingFailed(
            "{net}: one step takes more than a minute", net=request.net.name
        ) from None
    if done.returncode:
        said = [line for line in done.stderr.strip().split("\n") if line.strip()] or ["no message"]
        raise TrainingFailed(
            "{net} can't be trained like this: {said}", net=request.net.name, said=said[-1]
        )
    found = json.loads(done.stdout.strip().split("\n")[-1])
    return _remember(request, found, Path(folder))


def _remember(request: Request, found: dict[str, Any], folder: Path) -> Rate:
    from analysis.runs.format import now

    rate = Rate(
        net=request.net.name,
        images_per_second=found["images_per_second"],
        multiply_adds=plan.multiply_adds(request.net),
        threads=found["threads"],
        device=found["device"],
        here=True,
        when=now(),
    )
    kept = [r for r in timed_rates(folder) if (r.net, r.threads) != (rate.net, rate.threads)]
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RATES, {"rates": [vars(r) for r in [*kept, rate]][-200:]}, durable=False)
    return rate


class NoRoom(RunError):
    """A training for which disk or memory do not suffice."""

    exit_code = 6


def check_room(estimates: Sequence[Estimate], folder: Path | str, at_a_time: int) -> None:
    """Make sure that there is room on the disk and in memory before anything starts.

    Raises:
        NoRoom: there is not, or the folder can't be written; all problems at once.
    """
    folder = Path(folder)
    existing = next(p for p in (folder, *folder.absolute().parents) if exists(p))
    problems: list[Message] = []
    if not is_folder(existing) or not os.access(existing, os.W_OK):
        problems.append(
            Message(
                "{folder} can't be written: name another folder for runs with --runs, or set "
                "RESIDUAL_LENS_RUNS before the app is started",
                folder=folder,
            )
        )
    else:
        problems += _disk_problems(estimates, existing)
    problems += _memory_problems(estimates, at_a_time)
    if problems:
        raise NoRoom("{problems}", problems=Listed(tuple(problems), "\n"))


def _disk_problems(estimates: Sequence[Estimate], folder: Path) -> list[Message]:
    extra = max((e.disk_peak - e.disk for e in estimates), default=0)
    needed = sum(e.disk for e in estimates) + extra + _SPARE_DISK
    free = shutil.disk_usage(folder).free
    if needed <= free:
        return []
    return [
        Message(
            "not enough disk: about {needed:,.0f} MiB are needed at {folder}, {free:,.0f} MiB are "
            "free; delete runs or free some space",
            needed=needed / 2**20,
            folder=folder,
            free=free / 2**20,
        )
    ]


def _memory_problems(estimates: Sequence[Estimate], at_a_time: int) -> list[Message]:
    # A GPU's memory can't be asked for without loading torch: its trainer says it in its own words.
    free = psutil.virtual_memory().available
    problems = [
        Message(
            "{net} needs about {needed:.1f} GiB of memory, {free:.1f} GiB are free: use a smaller "
            "batch size, a smaller net, or close other programs",
            net=e.net,
            needed=e.memory / _GIB,
            free=free / _GIB,
        )
        for e in estimates
        if e.memory > free
    ]
    if not problems:
        largest = sorted((e.memory for e in estimates), reverse=True)[:at_a_time]
        if sum(largest) > free:
            problems.append(
                Message(
                    "{count} trainings at a time need about {needed:.1f} GiB of memory, "
                    "{free:.1f} GiB are free: train fewer at a time",
                    count=len(largest),
                    needed=sum(largest) / _GIB,
                    free=free / _GIB,
                )
            )
    return problems
