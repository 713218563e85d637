"""`reproduce`: a figure of the paper from one command, training what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.cli import jobs
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
from analysis.cli.study import find_parts, print_plan, queue_study
from analysis.cli.train import _run
from analysis.commands import this_command

if TYPE_CHECKING:
    from analysis.experiments.reproduce import Experiment
    from analysis.jobs import Part, Request
    from analysis.runs import Run


def register(app: typer.Typer) -> None:
    """Add this module's subcommand."""
    app.command()(reproduce)


def reproduce(
    context: typer.Context,
    figure: Annotated[
        str, typer.Argument(help="fig6, fig7, table6 or refinement.", metavar="FIGURE")
    ],
    data: DataName = "cifar10",
    recipe: Annotated[
        str, typer.Option(help="paper: 64k iterations; short: 30 epochs; quick: a minute a net.")
    ] = "paper",
    epochs: Epochs = None,
    seeds: Annotated[
        int, typer.Option(help="Seeds of each net, from 0; the paper: 5 for ResNet-110.", min=1)
    ] = 1,
    also: Annotated[
        list[str] | None, typer.Option(help="A further net: resnet-1202. May be repeated.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file. [default: FIGURE.html]")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what is there and what is to be trained.")
    ] = False,
    time_steps: Annotated[
        bool, typer.Option("--time-steps", help="Time each net for some seconds first.")
    ] = False,
    queue: Annotated[
        bool, typer.Option("--queue", help="Train what is missing in the background.")
    ] = False,
    bundled: Annotated[
        bool, typer.Option("--bundled", help="Draw the runs that came along; train nothing.")
    ] = False,
    data_title: DataTitle = "",
    runs: RunsFolder = None,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
) -> None:
    """Reproduce a figure of the paper: train what is missing, draw what there is.

    With no options that is the paper's own experiment: CIFAR-10, 64k iterations. Stopped at any
    point, the same command goes on where it was. The figure is drawn anew after every net.
    """
    from analysis.experiments import reproduce as experiments
    from analysis.jobs import requests_for
    from analysis.runs import default_folder
    from analysis.specs import Compute, DataSpec

    experiment = experiments.experiment(figure)
    path = output or Path(f"{experiment.name}.html")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"{path} can't be written: name a file in a folder that exists")
    if bundled:
        _only(context, "figure", "bundled", "output", "runs")
        _draw(experiment, experiments.bundled(experiment, known_runs(runs)), path)
        return
    spec = DataSpec.parse(data, data_title)
    changes = {} if epochs is None else {"epochs": epochs}
    compute = Compute(device, precision, None, None, threads)  # ty: ignore[invalid-argument-type]
    nets = [*experiment.nets, *(also or [])]
    wanted = [
        request
        for seed in range(seeds)
        for request in requests_for(nets, spec, recipe, changes, seed, compute)
    ]
    folder = runs or default_folder()
    found = find_parts(wanted, runs, spec)
    if time_steps:
        _time_steps(found, folder)
    print_plan(found, folder)
    if dry_run:
        return
    missing = [part for part in found if part.standing != "finished"]
    new = [part.request for part in missing if part.standing == "missing"]
    jobs.check_room(new, folder, at_a_time=1)
    if queue:
        queue_study(missing, folder)
    else:
        failed = _train_all(missing, folder, experiment, wanted, path)
    done = _finished(find_parts(wanted, runs, spec))
    if done:
        _draw(experiment, done, path)
    if not queue and failed:
        names = ", ".join(dict.fromkeys(part.request.net.name for part in failed))
        print(f"Without {names}; the same command tries again.")
        raise typer.Exit(6)


def _only(context: typer.Context, *allowed: str) -> None:
    """Refuse other options than these, rather than ignore them."""
    given = [
        name
        for name in context.params
        if name not in allowed
        and getattr(context.get_parameter_source(name), "name", "") != "DEFAULT"
    ]
    if given:
        options = ", ".join("--" + name.replace("_", "-") for name in given)
        raise typer.BadParameter(f"--bundled draws what came along, so it takes no {options}")


def _finished(found: Sequence[Part]) -> list[Run]:
    return [part.run for part in found if part.run is not None and part.standing == "finished"]


def _time_steps(found: Sequence[Part], folder: Path) -> None:
    """Measure how fast each net that is not there trains here; remembered in the runs folder."""
    from analysis.jobs import estimate

    missing = {part.request.net: part.request for part in found if part.standing != "finished"}
    for request in missing.values():
        rate = estimate.time_steps(request, folder)
        print(f"  {request.net.name:14} {rate.images_per_second:.0f} images/s")


def _train_all(
    missing: Sequence[Part],
    folder: Path,
    experiment: Experiment,
    wanted: Sequence[Request],
    path: Path,
) -> list[Part]:
    """Train parts one after the other; those that failed. Stopped, it says what it left."""
    failed = []
    for number, part in enumerate(missing):
        try:
            if not _train(part, folder, experiment, wanted, path):
                failed.append(part)
        except typer.Exit:
            left = (f"{p.request.net.name} seed {p.request.seed}"
                    for p in (*failed, *missing[number:]))  # fmt: skip
            print(f"Not finished: {', '.join(left)}.")
            raise
    return failed


def _train(
    part: Part, folder: Path, experiment: Experiment, wanted: Sequence[Request], path: Path
) -> bool:
    """Train a part to its end, then draw all that have finished; False where it did not finish."""
    from analysis.errors import RunInUse, TrainingFailed
    from analysis.experiments.reproduce import write_figure
    from analysis.training import prepare_run

    request = part.request
    if part.run is not None:
        run_path = part.run.path
    else:
        run_path = prepare_run(
            folder, request.net, request.recipe, request.data, seed=request.seed,
            compute=request.compute, command=request.command(folder),
        )  # fmt: skip
    try:
        _run(run_path, again=this_command())
    except (RunInUse, TrainingFailed) as error:
        print(f"{request.net.name}: {error}")
        return False
    done = _finished(find_parts(wanted, folder, request.data))
    write_figure(experiment, done, path)
    return True


def _draw(experiment: Experiment, runs: Sequence[Run], path: Path) -> None:
    from analysis.experiments.reproduce import write_figure
    from analysis.figures import summary_info

    write_figure(experiment, runs, path)
    columns = ["net", "seed", "train_error_clean", "test_error", "mean_response", "epochs"]
    table = summary_info(runs)[columns]
    print("\nErrors in percent, mean of the 3x3 layers' responses (std):")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    print(f"Written: {path}")
