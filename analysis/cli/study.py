"""`study`: nets by seeds, trained by this machine's queue, by Slurm, or by whatever you have."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.cli.foreground import CANCELLED
from analysis.cli.options import (
    DataName,
    DataTitle,
    Device,
    Epochs,
    Precision,
    RunsFolder,
    Threads,
    known_runs,
)
from analysis.cli.train import _Bar, _duration, look_elsewhere
from analysis.commands import command
from analysis.escape import one_line

if TYPE_CHECKING:
    from analysis.jobs import Part, Request
    from analysis.jobs.slurm import Settings
    from analysis.runs import Run
    from analysis.specs import DataSpec


Nets = Annotated[str, typer.Option(help="plain-20,resnet-20,... [default: those it has]")]
Seeds = Annotated[int, typer.Option(help="Seeds of each net, from 0.", min=1)]
Queue = Annotated[bool, typer.Option("--queue", help="Train what is left in the background, here.")]
Print = Annotated[
    bool, typer.Option("--print", help="Only print one command a run, for any other engine.")
]
Drain = Annotated[
    bool, typer.Option("--drain", help="Train what is left, one by one; also several at once.")
]
Cancel = Annotated[bool, typer.Option("--cancel", help="Stop what trains or waits.")]
Status = Annotated[bool, typer.Option("--status", help="As it stands, with Slurm's tasks.")]
Slurm = Annotated[bool, typer.Option("--slurm", help="Train what is left on Slurm.")]
Tasks = Annotated[int | None, typer.Option(help="Of the array. [default: one a run]", min=1)]
Partition = Annotated[str, typer.Option(help="Of Slurm.")]
Time = Annotated[int, typer.Option(help="Minutes a task; it then begins again.", min=5)]
Gpus = Annotated[int | None, typer.Option(help="Slurm's --gpus-per-task.", min=0)]
Set = Annotated[list[str] | None, typer.Option(help="#SBATCH setting, KEY[=VALUE]; repeatable.")]
Setup = Annotated[list[str] | None, typer.Option(help="Line of shell, first; repeatable.")]


def register(app: typer.Typer) -> None:
    """Add this module's subcommand."""
    app.command()(study)


def study(
    name: Annotated[str, typer.Argument(help="What its runs' ids begin with.", metavar="NAME")],
    nets: Nets = "",
    seeds: Seeds = 1,
    recipe: Annotated[str, typer.Option(help="paper, short, quick.")] = "short",
    data: DataName = "cifar10",
    epochs: Epochs = None,
    data_title: DataTitle = "",
    runs: RunsFolder = None,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    queue: Queue = False,
    print_commands: Print = False,
    drain: Drain = False,
    cancel: Cancel = False,
    status: Status = False,
    slurm: Slurm = False,
    slurm_tasks: Tasks = None,
    slurm_partition: Partition = "",
    slurm_time: Time = 720,
    gpus_per_task: Gpus = None,
    slurm_set: Set = None,
    slurm_setup: Setup = None,
) -> None:
    """Train each of some nets with each of some seeds, once: NAME_resnet-20_s0, ...

    Writes the runs that are missing and says what is there, what is left and how long it takes;
    the same study twice adds nothing. Without --nets it is the study as it stands.
    """
    from analysis import jobs
    from analysis.errors import RunError
    from analysis.jobs.slurm import Settings, parse_settings
    from analysis.runs import default_folder

    if sum((queue, print_commands, drain, cancel, status, slurm)) > 1:
        raise typer.BadParameter(
            "give one of --queue, --print, --drain, --cancel, --status, --slurm"
        )
    folder = runs or default_folder()
    found = _asked(name, nets, seeds, (recipe, data, data_title, epochs),
                   (device, precision, threads), runs)  # fmt: skip
    if slurm or queue:
        found = _watched(found)
    unfinished = [part for part in found if part.standing != "finished"]  # now: it may end later
    if cancel:
        _cancel(found)
        return
    if status:
        print_plan(found, folder)
        _print_tasks(name, folder)
        return
    left = _without_obstacles(unfinished, folder)
    if print_commands:
        print(*(_command_of(part, folder) for part in left), sep="\n", end="\n" if left else "")
    elif drain:
        jobs.write_missing(left, folder)
        _drain(name, folder)
    else:
        print_plan(found, folder)
        if queue:
            queue_study(left, folder)
        elif slurm:
            settings = Settings(slurm_partition, slurm_time, gpus_per_task,
                                parse_settings(slurm_set or ()), slurm_setup or ())  # fmt: skip
            _to_slurm(name, left, folder, slurm_tasks, settings)
        else:
            _write(name, left, folder)
    if len(left) < len(unfinished):
        raise typer.Exit(RunError.exit_code)


def _drain(name: str, folder: Path) -> None:
    """Train what is left, say how it ended, and exit so where not all of it is, or will be, there.

    What other machines train, or this one's queue has, is no failure.
    """
    from analysis import jobs
    from analysis.errors import TrainingFailed

    stopped = jobs.drain(name, folder)
    if stopped:
        raise typer.Exit(128 + stopped)
    found = jobs.study_parts(name, known_runs(folder))
    print_plan(found, folder)
    states = {part.run.state for part in found if part.run and part.standing == "stopped"}
    again = command("study", name, "--queue", runs=folder)
    if states == {"cancelled"}:
        print(f"Not all of it was trained. This tries again: {again} (or --slurm)")
        raise typer.Exit(CANCELLED)
    if states:
        raise TrainingFailed(
            "not all of it was trained; this tries again: {command} (or --slurm)", command=again
        )


def _without_obstacles(unfinished: Sequence[Part], folder: Path) -> list[Part]:
    """The parts that can be trained; of the others, which stand in nobody's way, it says why."""
    from analysis.jobs import obstacle

    left = []
    for part in unfinished:
        if error := obstacle(part, folder):
            path = part.run.path if part.run else folder / part.request.name
            print(
                f"{path} can't be trained ({error}). Move or delete it; this study with its --nets "
                "then makes it anew.", file=sys.stderr,
            )  # fmt: skip
        else:
            left.append(part)
    return left


def _watched(found: Sequence[Part]) -> list[Part]:
    """The parts again, once it is known which other machines still train what they have."""
    from analysis.runs import load_run

    begun = (part.run.path for part in found if part.run and part.standing != "finished")
    if not look_elsewhere(*begun):
        return list(found)
    return [replace(part, run=load_run(part.run.path)) if part.run else part for part in found]


def _write(name: str, left: Sequence[Part], folder: Path) -> None:
    from analysis import jobs

    made = jobs.write_missing(left, folder)
    if made:
        print(f"Written: {len(made)} runs in {folder}.")
    if left:
        begun = command("study", name, runs=folder)
        print(f"Train them: {begun} with --queue, --drain, --slurm, --print")


def _to_slurm(
    name: str, left: Sequence[Part], folder: Path, tasks: int | None, settings: Settings
) -> None:
    """Write what is missing, put back what stopped, and ask for the tasks."""
    from analysis import jobs
    from analysis.jobs.slurm import submit_array

    open_ = [part for part in left if part.standing in ("missing", "stopped", "queued")]
    if not open_:
        print("Nothing is left that nobody trains.")
        return
    jobs.write_missing(left, folder)
    for part in open_:
        if part.run is not None and not jobs.put_back(part.run.path):
            print(f"{part.run.id} is being trained.")
    ids = submit_array(name, folder, min(tasks or len(open_), len(open_)), settings)
    see = command("study", name, "--status", runs=folder)
    print(f"Slurm has {len(ids)} tasks: {ids[0].partition('_')[0]}. See: {see}")


def _print_tasks(name: str, folder: Path) -> None:
    from analysis.jobs.slurm import array_status

    rows = array_status(name, folder)
    print("Slurm:" if rows else "Slurm has no task of this study.")
    for job, state, node, reason in rows:
        print(f"  {job:14} {state.lower():10} {node or reason}")


def _asked(
    name: str, nets: str, seeds: int, what: tuple, how: tuple, runs: Path | None
) -> list[Part]:
    """The parts of the study that the options describe; of the one that there is, without nets."""
    from analysis.errors import RunError
    from analysis.jobs import requests_for, study_parts, study_requests
    from analysis.specs import Compute, DataSpec

    if not nets:
        found = study_parts(name, known_runs(runs))
        if not found:
            raise RunError(
                "there is no run of a study {name}; --nets plain-20,resnet-20 begins one", name=name
            )
        return found
    recipe, data, title, epochs = what
    device, precision, threads = how
    spec = DataSpec.parse(data, title)
    changes = {} if epochs is None else {"epochs": epochs}
    compute = Compute(device, precision, None, None, threads)
    wanted = [
        request
        for seed in range(seeds)
        for request in requests_for(nets.split(","), spec, recipe, changes, seed, compute)
    ]
    return find_parts(study_requests(name, wanted), runs, spec)


def find_parts(wanted: Sequence[Request], runs: Path | None, data: DataSpec) -> list[Part]:
    """What there is of each request, among the bundled runs and the user's."""
    from analysis.jobs import parts

    known = known_runs(runs)
    return parts(wanted, known, _fingerprint(data, known))


def _fingerprint(data: DataSpec, known: Sequence[Run]) -> str:
    """Of a folder's images, so that runs on a copy of them elsewhere serve as well."""
    for run in known:
        if run.config.data == data and run.config.images:
            return run.config.images.fingerprint
    if data.name != "folder":
        return ""
    from analysis.data import load_images

    with _Bar(str(data), visible=True) as bar:
        return load_images(data, progress=bar.decoding).fingerprint


def print_plan(found: Sequence[Part], folder: Path) -> None:
    """A line a part: its run, or how far it is and how long it takes; then the whole."""
    from analysis.jobs.estimate import estimate, known_rates

    rates = known_rates(known_runs(folder), folder)
    total, bases = 0.0, set()
    for part in found:
        request, run = part.request, part.run
        words = run.id if run and part.standing == "finished" else part.standing
        if part.standing != "finished":
            if run and run.host:
                words += f" on {run.host}"
            if run and run.status.epoch:
                words += f" after epoch {run.status.epoch} of {run.status.epochs_total}"
            if run and part.standing == "stopped":
                words += f" ({one_line(str(run.status.reason) or run.state)})"
            expected = estimate(request, rates)
            bases.add(expected.basis)
            if expected.seconds is not None:
                total += expected.seconds * part.share_left
                words += f", about {_duration(expected.seconds * part.share_left)} to train"
        print(f"  {request.net.name:14} seed {request.seed}  {words}")
    left = sum(part.standing != "finished" for part in found)
    if left:
        time = "unknown until one has trained" if "none" in bases else f"about {_duration(total)}"
        where = ", as fast as where the bundled runs trained" if "elsewhere" in bases else ""
        print(f"{len(found) - left} of {len(found)} are there; time for the rest: {time}{where}.")


def queue_study(left: Sequence[Part], folder: Path) -> None:
    """Queue what is missing or stopped on this machine, and say so."""
    from analysis import jobs

    done = jobs.submit(jobs.Study(left), folder)
    for path in done.paths:
        print(f"Queued: {path}")
    for _, path in done.already:
        print(f"{path.name} is being trained.")


def _command_of(part: Part, folder: Path) -> str:
    """The command that trains a part to its end, in any order, and twice as well as once."""
    request = part.request
    if part.run is not None:
        request = replace(request, name=part.run.id)
    return request.command(folder, "--once")


def _cancel(found: Sequence[Part]) -> None:
    from analysis import jobs

    for part in found:
        own = part.run if part.run and part.run.id == part.request.name else None
        if own and part.standing in ("queued", "running"):
            jobs.stop(own.path)
            print(f"Cancelled: {own.id}")
