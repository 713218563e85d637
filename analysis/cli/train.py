"""`train` and `resume`: a training in the foreground, with a progress bar and time left."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.cli import jobs, terminal
from analysis.cli.foreground import leave, stop_asked
from analysis.cli.options import (
    DataName,
    DataTitle,
    Device,
    Epochs,
    Precision,
    RunName,
    RunsFolder,
    Threads,
    folders,
)
from analysis.commands import about, this_command
from analysis.escape import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis.jobs import Request
    from analysis.runs import Run
    from analysis.training import Progress


def register(app: typer.Typer) -> None:
    """Add this module's subcommands."""
    app.command()(train)
    app.command()(resume)


def train(
    net: Annotated[
        str, typer.Option(help="plain-34, resnet-56, preresnet-56, resnet-34-w16, resnet-20-B, ...")
    ],
    data: DataName = "cifar10",
    recipe: Annotated[
        str,
        typer.Option(
            help="paper: 64k iterations (section 4.2); short: 30 epochs, cosine; quick: a minute."
        ),
    ] = "short",
    seed: Annotated[int, typer.Option(help="Of initialisation, data order and augmentation.")] = 0,
    epochs: Epochs = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per update.", min=1)] = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of SGD.")] = None,
    validation: Annotated[
        int | None, typer.Option(help="Training images to hold out; the paper: 5000.")
    ] = None,
    no_augment: Annotated[bool, typer.Option("--no-augment", help="No crops, no flips.")] = False,
    data_title: DataTitle = "",
    resize: Annotated[int | None, typer.Option(help="Resize a folder's images to this.")] = None,
    runs: RunsFolder = None,
    device: Device = "auto",
    precision: Precision = "auto",
    no_compile: Annotated[bool, typer.Option("--no-compile", help="Run eagerly.")] = False,
    threads: Threads = None,
    keep_weights: Annotated[
        bool, typer.Option("--keep-weights", help="Keep the weights of every epoch.")
    ] = False,
    name: Annotated[
        str, typer.Option(help="The run's id. [default: date, net, recipe, seed]")
    ] = "",
    queue: Annotated[
        bool, typer.Option("--queue", help="Train in the background, after what is queued.")
    ] = False,
    once: Annotated[
        bool,
        typer.Option("--once", help="Go on with the run of this --name; done if it has finished."),
    ] = False,
) -> None:
    """Train a net and keep everything about it in a run.

    Under torchrun (`torchrun --nproc-per-node 2 -m analysis train ...`) several processes train
    one net together.
    """
    from analysis.jobs import requests_for
    from analysis.runs import default_folder
    from analysis.specs import Compute, DataSpec

    data_spec = DataSpec.parse(data, data_title, resize)
    changes = {
        "epochs": epochs, "batch_size": batch_size, "lr": lr, "weight_decay": weight_decay,
        "validation": validation, "augment": False if no_augment else None,
    }  # fmt: skip
    given = {name: value for name, value in changes.items() if value is not None}
    compute = Compute(
        device,
        precision,  # ty: ignore[invalid-argument-type]
        False if no_compile else None,
        threads=threads,
        keep_weights=keep_weights,
    )
    request = requests_for([net], data_spec, recipe, given, seed, compute, name)[0]
    folder = runs or default_folder()
    if queue:
        jobs.queue_up([request], folder)
        return
    if once and _there_already(request, folder):
        return
    jobs.check_room([request], folder, at_a_time=1)
    from analysis.training import prepare_run
    from analysis.training.distributed import World
    from analysis.training.hardware import resolve

    resolve(compute)  # a device that is not here is said before there is a run
    with World(compute.device) as world:
        path = None
        if world.main:
            path = prepare_run(
                folder, request.net, request.recipe, data_spec,
                seed=seed, compute=compute, command=this_command(), run_id=name or None,
            )  # fmt: skip
        _run(Path(world.same_path(str(path) if path else None)), only_queued=True)


def _there_already(request: Request, folder: Path) -> bool:
    """Whether the request's run is there; it is then trained to its end, unless it was."""
    from analysis.jobs import has_run
    from analysis.runs import load_run

    if not request.name:
        raise typer.BadParameter("--once goes on with a run by its name: give --name as well")
    if not has_run(request, folder):
        return False
    path = folder / request.name
    if load_run(path).state == "finished":
        print(f"{request.name} has finished already.")
    else:
        _run(path)
    return True


def look_elsewhere(*runs: Path) -> bool:
    """Find out which runs other machines are at work on; whether they seemed to be on any.

    A lease looks fresh at first sight, so each command has to watch it: half a minute at most.
    """
    from analysis.runs import leases
    from analysis.runs.liveness import elsewhere

    hosts = {path: host for path in runs if (host := elsewhere(path))}
    if hosts:
        names = ", ".join(f"{path.name} on {host}" for path, host in hosts.items())
        print(f"Looking whether other machines are still at work: {one_line(names)} ...")
        leases.watch(*hosts)
    return bool(hosts)


def resume(
    run: RunName,
    runs: RunsFolder = None,
    background: Annotated[
        bool, typer.Option("--background", help="Put it in the queue instead of waiting for it.")
    ] = False,
    device: Annotated[
        str, typer.Option(help="Go on with another device than before, e.g. cpu.")
    ] = "",
    threads: Threads = None,
    queued: Annotated[bool, typer.Option("--queued", hidden=True)] = False,
    claimed: Annotated[bool, typer.Option("--claimed", hidden=True)] = False,
) -> None:
    """Go on with a run that was cancelled, failed or killed, from its last whole epoch."""
    from analysis.runs import find_run, load_run
    from analysis.runs.resuming import check_resumable

    found = find_run(run, folders(runs))
    path = found.path
    if claimed:
        _run(path, claimed=True)
        return
    if look_elsewhere(path):
        found = load_run(path)
    if not queued:
        check_resumable(found)
    if device or threads:
        from analysis.specs import Compute
        from analysis.training import move_run

        move_run(path, Compute(device or found.config.compute.device, threads=threads))
    if background:
        jobs.queue_again(path)
    else:
        _run(path, only_queued=queued)


def _run(path: Path, only_queued: bool = False, again: str = "", claimed: bool = False) -> None:
    """Train, or construct, in the foreground; Ctrl-C and SIGTERM end it in order, to be resumed.

    Raises typer.Exit where it was stopped, by a signal or by `cancel`.

    Args:
        path: the run.
        only_queued: as `train_run` takes it.
        again: the command that goes on after a stop; by default `resume`.
        claimed: somebody drains a study; what a signal stops is put back for the next.
    """
    from analysis.jobs import put_back
    from analysis.runs import load_run

    main = int(os.environ.get("RANK", 0)) == 0
    heeded: list[int] = []

    def should_stop() -> bool:
        heeded[:] = received
        return bool(heeded)

    if main:
        print(f"Run: {path}")
        if not claimed:
            look_elsewhere(path)
    with stop_asked(patient=claimed) as received, _Bar(path.name, visible=main) as bar:
        carry_out = _construct if load_run(path).is_construction else _train
        run = carry_out(path, bar, should_stop, only_queued)
        if claimed and heeded and run.state == "cancelled":  # by a signal, not by `cancel`
            put_back(path)
    if run.state == "cancelled":
        if main:
            whole, total = run.status.epoch, run.status.epochs_total
            where = f" after epoch {whole} of {total}" if total else ""
            word = "Stopped" if received else "Cancelled"
            print(f"{word}{where}. Go on with: {again or about('resume', path)}")
        leave(received)


def _train(path: Path, bar: _Bar, should_stop: Callable[[], bool], only_queued: bool) -> Run:
    from analysis.training import train_run

    return train_run(path, bar.update, should_stop, bar.decoding, bar.line, only_queued)


def _construct(path: Path, bar: _Bar, should_stop: Callable[[], bool], only_queued: bool) -> Run:
    from analysis.construct.constructed_runs import carry_out

    return carry_out(path, bar.measuring, should_stop, bar.decoding, only_queued)


class _Bar:
    """A progress bar on a terminal, a line an epoch elsewhere."""

    def __init__(self, title: str, visible: bool) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = terminal.console()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            console=self._console, disable=not (visible and self._console.is_terminal),
        )  # fmt: skip
        self._task = self._progress.add_task(one_line(title), total=1.0, detail="")

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def line(self, text: str) -> None:
        self._console.print(one_line(text), soft_wrap=True)

    def decoding(self, done: int, total: int) -> None:
        detail = f"reading images {done:,} of {total:,}"
        self._progress.update(self._task, completed=done / max(total, 1), detail=detail)

    def measuring(self, done: int, total: int) -> None:
        detail = "measuring the shallower and the deeper net"
        self._progress.update(self._task, completed=done / max(total, 1), detail=detail)

    def update(self, at: Progress) -> None:
        total = max(at.epochs, 1)
        done = at.epoch + (at.step / max(at.steps, 1) if at.phase == "training" else 1)
        parts = [f"{at.phase}, epoch {min(at.epoch + 1, total)}/{at.epochs}"]
        if at.images_per_second:
            parts.append(f"{at.images_per_second:.0f} images/s")
        if at.train_error is not None:
            parts.append(f"training error {at.train_error:.1f} %")
        if at.seconds_left is not None:
            parts.append(f"{_duration(at.seconds_left)} left")
        self._progress.update(
            self._task, completed=min(done / total, 1.0), detail=" | ".join(parts)
        )


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
