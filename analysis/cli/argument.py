"""`construct`, `identity`, `complexity`, `claims`: the paper's argument, each part run by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from analysis.cli import terminal
from analysis.cli.foreground import session
from analysis.cli.options import (
    Epochs,
    RunName,
    RunsFolder,
    check_writable,
    folders,
    known_runs,
    write_csv,
)
from analysis.commands import this_command
from analysis.escape import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analysis.evidence.verdicts import Claim, Verdict
    from analysis.runs import DamagedRun, Run
    from analysis.specs import NetSpec


def register(app: typer.Typer) -> None:
    """Add this module's subcommands."""
    app.command()(construct)
    app.command()(identity)
    app.command()(complexity)
    app.command()(claims)


def construct(
    run: RunName,
    depth: Annotated[int, typer.Argument(help="Layers of the new net: 32, 44, 56, ...")],
    train: Annotated[
        str, typer.Option(help="Go on training it with this recipe: paper, short, quick.")
    ] = "",
    epochs: Epochs = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    queue: Annotated[
        bool,
        typer.Option(
            "--queue",
            help="Queue its further training and the same depth from scratch, by RUN's recipe.",
        ),
    ] = False,
    background: Annotated[
        bool, typer.Option("--background", help="Queue the construction instead of waiting for it.")
    ] = False,
    no_calibrate: Annotated[
        bool, typer.Option("--no-calibrate", help="Inserted BN: mean 0, variance 1, not data's.")
    ] = False,
    runs: RunsFolder = None,
) -> None:
    """Make a deeper net that computes what a trained one does (section 1), and keep it as a run."""
    from analysis import jobs
    from analysis.cli.train import _run
    from analysis.construct.constructed_runs import compare_runs
    from analysis.errors import SpecError
    from analysis.evidence.continuation import (
        Construction,
        continue_run,
        has_recipe,
        prepare_construction,
        trained_with,
    )
    from analysis.runs import default_folder, find_run, load_run
    from analysis.specs import recipe_for
    from analysis.specs.plan import deeper_spec

    if queue and train:
        raise SpecError("--queue takes the recipe of the run; leave --train out")
    if background and (queue or train):
        raise SpecError("--background constructs alone; leave --queue and --train out")
    given = {name: value for name, value in (("epochs", epochs), ("lr", lr)) if value is not None}
    if given and not train:
        _refuse_without_train(given, queue)
    found, folder = find_run(run, folders(runs)), runs or default_folder()
    spec = deeper_spec(found.config.net, depth)
    recipe = None
    if train:
        trained_with(found)  # a run without data says so before a recipe is fitted to them
        recipe = recipe_for(train, spec, found.config.data, **given)  # type: ignore
    elif queue and not has_recipe(found):
        raise SpecError("{run} has no recipe of its own; name one with --train", run=found.id)
    if background:
        work = Construction(found, depth, calibrate=not no_calibrate, command=this_command())
        print(f"Queued: {jobs.submit(work, folder).paths[0]}")
        return
    path = prepare_construction(
        found, depth, folder, calibrate=not no_calibrate, command=this_command()
    )
    _run(path, only_queued=True)
    built = load_run(path)
    table, before, after = compare_runs(found, built)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    for word, old, new in zip(("training", "test"), before, after, strict=True):
        print(f"{word} error: {found.net} {old:.4f} %, {spec.name} {new:.4f} %")
    if queue:
        _queue_study(built, folder)
    elif recipe is not None:
        _run(continue_run(built, folder, recipe=recipe, command=this_command()))


def _refuse_without_train(given: Iterable[str], queue: bool) -> NoReturn:
    """Changes of a recipe where none is named: refused, rather than ignored."""
    from analysis.errors import SpecError

    options = ", ".join(f"--{name}" for name in given)
    if queue:
        raise SpecError("--queue takes the recipe of the run, so it takes no {options}",
                        options=options)  # fmt: skip
    raise SpecError(
        "Without --train RECIPE nothing is trained, so construct takes no {options}",
        options=options,
    )


def _queue_study(built: Run, folder: Path) -> None:
    from analysis import jobs
    from analysis.evidence.continuation import Experiment

    for path in jobs.submit(Experiment(built, known_runs(folder), this_command()), folder).paths:
        print(f"Queued: {path}")


def identity(
    layers: Annotated[int, typer.Option(help="3x3 layers; even.")] = 8,
    steps: Annotated[int, typer.Option(help="Optimiser updates.")] = 500,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 0.05,
    optimizer: Annotated[str, typer.Option(help="sgd (momentum 0.9) or adam.")] = "sgd",
    width: Annotated[int, typer.Option(help="Channels.")] = 16,
    perturbation: Annotated[float, typer.Option(help="rms of H(x) - x over rms of x.")] = 0.0,
    inputs: Annotated[
        str,
        typer.Option(
            help="random, samples (bundled photographs), or a data set's images: digits, cifar10, "
            "cifar100, folder:PATH."
        ),
    ] = "random",
    signed: Annotated[bool, typer.Option("--signed", help="Inputs of both signs.")] = False,
    no_bn: Annotated[bool, typer.Option("--no-bn", help="Without BN.")] = False,
    no_relu: Annotated[bool, typer.Option("--no-relu", help="Without ReLU.")] = False,
    seed: Annotated[int, typer.Option(help="Of weights, inputs and perturbation.")] = 0,
    csv: Annotated[Path | None, typer.Option(help="Write the losses to this file.")] = None,
) -> None:
    """Fit the identity with plain and with residual layers (section 3.1)."""
    from analysis.construct.identity import IdentityTask, fit_identity

    check_writable(csv)
    task = IdentityTask(
        layers, width, steps, optimizer, lr, not no_bn, not no_relu, signed, perturbation,  # type: ignore
        seed=seed, inputs="random" if inputs == "random" else "images",
    )  # fmt: skip
    images = None
    if inputs not in ("random", "samples"):
        from analysis.data import load_images
        from analysis.specs import DataSpec

        images = load_images(DataSpec.parse(inputs)).train
    with session("the identity") as work:
        tell = work.stoppable()
        fit = fit_identity(task, lambda step, _fit: tell(step, steps), images=images)
    last = fit.layers[fit.layers["step"] == fit.layers["step"].max()]
    for kind, rows in fit.losses.groupby("kind"):
        first, end = rows["loss"].iloc[0], rows["loss"].iloc[-1]
        away = last.loc[last["kind"] == kind, "dirac_distance"].mean()
        print(f"{kind:9} loss {first:.4f} -> {end:.4f}, mean distance from Dirac {away:.3f}")
    if fit.floor:
        print(f"Cut off by the last ReLU: {fit.floor:.4f} of the mean square of H")
    if csv is not None:
        write_csv(fit.losses, csv)


def complexity(
    net: Annotated[list[str] | None, typer.Argument(help="Nets, and vgg-19.")] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Time them here too.")] = False,
    batch: Annotated[list[int] | None, typer.Option(help="Images a batch, several times.")] = None,
    seconds: Annotated[float, typer.Option(help="To spend on each case.")] = 1.0,
    device: Annotated[str, typer.Option(help="cpu, cuda.")] = "cpu",
    csv: Annotated[Path | None, typer.Option(help="Write the measured times here.")] = None,
) -> None:
    """Count parameters and multiply-adds (Table 1), and measure times on this machine."""
    from analysis.specs.costs import CIFAR_NETS, PAPER_NETS, complexity_info

    check_writable(csv)
    if measure:
        device = _resolved(device)
    names = net or [*PAPER_NETS, *CIFAR_NETS]
    info = complexity_info(names)
    info["activation_mib"] = info.pop("activation_bytes") / 2**20
    print(info.drop(columns=["net", "kind", "depth"]).round(3).to_string(index=False))
    if not measure:
        return
    from analysis.lens.complexity import measure_times

    with session(", ".join(names)) as work:
        tell = work.stoppable()
        times = measure_times(
            names, batch or (1, 8), seconds=seconds, device=device,
            progress=lambda done, cases, _next: tell(done, cases),
        )  # fmt: skip
    print(times.drop(columns=["device", "machine", "torch"]).round(2).to_string(index=False))
    print(f"{times['machine'].iloc[0]}, torch {times['torch'].iloc[0]}, float32, eager")
    if csv is not None:
        write_csv(times, csv)


def _resolved(device: str) -> str:
    """The device that a name means here. Raises SpecError, which lists those there are."""
    from analysis.specs import Compute
    from analysis.training.hardware import resolve

    return resolve(Compute(device)).device


def claims(
    run: Annotated[list[str] | None, typer.Argument(help="Runs; by default all there are.")] = None,
    runs: RunsFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, for programs.")] = False,
) -> None:
    """Judge the paper's claims over runs, those of each data set and recipe by themselves."""
    from analysis.runs.index import collect_seldom, one_look

    collect_seldom()
    with one_look():
        judged, damaged = _judge(run, folders(runs))
    for left_out in damaged:
        print(f"{left_out.id} is left out: {left_out.reason}", file=sys.stderr)
    if as_json:
        terminal.print_json([_row(own, *one, runs) for own, each in judged for one in each])
        return
    _print_verdicts(judged, runs)


def _judge(names: Sequence[str] | None, places: list[Path]) -> tuple[list, list[DamagedRun]]:
    """((the runs of a group, its claims with their verdicts) for each, damaged runs)."""
    from analysis.evidence.claims import evaluate, groups
    from analysis.runs import DamagedRun, find_run, list_runs, only_readable

    named = [find_run(name, places) for name in names] if names else list_runs(places)
    torn = [run for run in named if isinstance(run, DamagedRun)]
    found, damaged = only_readable([run for run in named if not isinstance(run, DamagedRun)])
    judged = [(own, evaluate(own)) for own in groups(found).values() or [[]]]
    return judged, [*torn, *damaged]


def _row(own: Sequence[Run], claim: Claim, verdict: Verdict, folder: Path | None) -> dict[str, Any]:
    """A verdict for programs; words in the language that is set, the rest in any the same."""
    return {
        "claim": claim.id, "section": claim.section, "words": claim.words(),
        "data": own[0].data_title if own else "", "recipe": own[0].recipe if own else "",
        "state": verdict.state, "one_seed": verdict.one_seed, "closed_form": verdict.disputed,
        "numbers": [{**vars(number), "net": number.net.name} for number in verdict.numbers],
        "evidence": verdict.evidence, "runs": verdict.runs,
        "beside": [net.name for net in verdict.beside],
        "wanted": _commands(verdict.wanted, own, folder),
    }  # fmt: skip


def _print_verdicts(
    judged: Sequence[tuple[Sequence[Run], Sequence[tuple[Claim, Verdict]]]], runs: Path | None
) -> None:
    from analysis.evidence.claims import verdict_words

    for own, each in judged:
        print(
            f"{one_line(own[0].data_title)}, {own[0].recipe}: {len(own)} runs"
            if own
            else "No runs yet"
        )
        for claim, verdict in each:
            state = verdict_words(verdict)
            print(f"  {state:15} {claim.words()} (section {claim.section})")
            for line in verdict.evidence:
                print(f"{'':18}{line}")
            if verdict.beside:
                print(f"{'':18}{verdict.beside_words()}")
            for command in _commands(verdict.wanted, own, runs):
                print(f"{'':18}wanted: {command}")


def _commands(wanted: Sequence[NetSpec], runs: Sequence[Run], folder: Path | None) -> list[str]:
    """The command lines that make nets as comparable runs."""
    from analysis.errors import LensError
    from analysis.evidence.missing import commands_elsewhere, requests_like

    names, like = [net.name for net in wanted], runs[0] if runs else None
    try:
        return [request.command(folder) for request in requests_like(names, like)]
    except LensError:  # the images are elsewhere
        return commands_elsewhere(names, like, folder=folder)
