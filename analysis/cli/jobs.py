"""`jobs` and `cancel`: trainings in the background, seen and steered from a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.cli import terminal
from analysis.cli.options import RunName, RunsFolder, folders
from analysis.commands import about, command
from analysis.escape import one_line, visible

if TYPE_CHECKING:
    from analysis.jobs import Request
    from analysis.runs import Run

_jobs = typer.Typer(invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add this module's subcommands."""
    _jobs.callback()(jobs)
    _jobs.command()(start)
    _jobs.command(hidden=True)(work)
    app.add_typer(_jobs, name="jobs")
    app.command()(cancel)


def jobs(
    context: typer.Context,
    runs: RunsFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, for programs.")] = False,
) -> None:
    """List what trains, what waits and what stopped; `train --queue` and `resume` add to it."""
    if context.invoked_subcommand is not None:
        return
    from analysis.jobs import list_jobs, worker_alive

    folder = folders(runs)[-1]
    shown = [run for run in list_jobs(folder) if run.state != "finished"]
    if as_json:
        terminal.print_json([_summary(run) for run in shown])
        return
    if not shown:
        print(
            "Nothing trains and nothing waits. "
            "`python -m analysis train --net NET --queue` adds a training."
        )
        return
    _print_table(shown)
    waits = any(run.state == "queued" and run.status.queued_at for run in shown)
    if waits and not worker_alive(folder):
        print(f"The queue is not running. This starts it: {command('jobs', 'start', runs=folder)}")


def _print_table(shown: list[Run]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "state", "epoch", "images/s", "time left", "why"):
        table.add_column(name, no_wrap=name != "why")
    for run in shown:
        status = run.status
        rate = f"{status.images_per_second:.0f}" if status.images_per_second else ""
        left = status.seconds_left if run.state == "running" else None
        table.add_row(
            one_line(run.id), one_line(state_of(run)), _epochs(run), rate,
            "" if left is None else f"{left / 60:.0f} min", visible(status.reason),
        )  # fmt: skip
    console = terminal.console()
    console.width = max(console.width, 100)
    console.print(table, soft_wrap=True)


def state_of(run: Run) -> str:
    """Its state; of a run that another machine is at work on, with that machine's name."""
    return f"{run.state} on {run.host}" if run.host else run.state


def _epochs(run: Run) -> str:
    if run.is_construction:
        return "constructed"
    return f"{run.status.epoch}/{run.status.epochs_total}"


def _summary(run: Run) -> dict[str, Any]:
    status = run.status
    return {
        "id": run.id,
        "path": str(run.path),
        "state": run.state,
        "reason": str(status.reason),
        "epoch": status.epoch,
        "epochs_total": status.epochs_total,
        "step": status.step,
        "steps_per_epoch": status.steps_per_epoch,
        "images_per_second": status.images_per_second,
        "seconds_left": status.seconds_left if run.state == "running" else None,
        "memory_mb": status.memory_mb,
        "host": run.host,
        "pid": status.pid if run.state == "running" else None,
    }


def start(
    runs: RunsFolder = None,
    at_a_time: Annotated[
        int | None,
        typer.Option(
            "--at-a-time",
            "--slots",
            min=1,
            help="Trainings at once, from now on: by default one on each GPU, else one a core, at "
            "most four. More than there are GPUs share them evenly, which pays under NVIDIA MPS "
            "alone (README, Studies).",
        ),
    ] = None,
) -> None:
    """Start working off the queue, as after a reboot."""
    from analysis.jobs import set_at_a_time, start_worker
    from analysis.runs import default_folder

    folder = runs or default_folder()
    if at_a_time is not None:
        set_at_a_time(folder, at_a_time)
    started = start_worker(folder)
    print("Started." if started else "Some process works off this queue already.")


def work(runs: RunsFolder = None) -> None:
    """Work off the queue in this process, until it is empty."""
    from analysis import jobs

    if not jobs.work(folders(runs)[-1]):
        print("Some process works off this queue already.")


def cancel(run: RunName, runs: RunsFolder = None) -> None:
    """Stop a run that trains or waits; its last whole epoch is kept, and it can be resumed."""
    from analysis import jobs
    from analysis.runs import find_run

    found = find_run(run, folders(runs))
    if jobs.stop(found.path) == "asked":
        print(f"{found.id} was asked to stop. Go on with: {about('resume', found)}")
    else:
        print(f"{found.id} was taken out of the queue.")


def queue_up(requests: list[Request], folder: Path) -> None:
    """Queue trainings and say so; for `train --queue`."""
    from analysis import jobs

    done = jobs.submit(jobs.Trainings(requests), folder)
    for path in done.paths:
        print(f"Queued: {path}")
    for request, path in done.already:
        print(f"{request.net.name} is queued or running already, with the same seed: {path}")


def check_room(requests: list[Request], folder: Path, at_a_time: int) -> None:
    """Raises what `analysis.jobs.estimate` says where disk, memory or images do not suffice."""
    from analysis.jobs import estimate

    found = [estimate.estimate(request, []) for request in requests]
    estimate.check_room(found, folder, at_a_time)


def queue_again(path: Path) -> None:
    """Queue a run that stopped; for `resume --background`."""
    from analysis import jobs

    jobs.submit(jobs.Resumed(path), path.parent)
    print(f"Queued: {path}")
