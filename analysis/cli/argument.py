"""`construct`, `identity`, `complexity`, `claims`: the paper's argument, each part run by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from analysis.cli.options import RunName, RunsFolder, folders


def register(app: typer.Typer) -> None:
    """Add this module's subcommands."""
    app.command()(construct)


def construct(
    run: RunName,
    depth: Annotated[int, typer.Argument(help="Layers of the new net: 32, 44, 56, ...")],
    train: Annotated[
        str, typer.Option(help="Go on training it with this recipe: paper, short, quick.")
    ] = "",
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.", min=1)] = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    no_calibrate: Annotated[
        bool, typer.Option("--no-calibrate", help="Inserted BN: mean 0, variance 1, not data's.")
    ] = False,
    runs: RunsFolder = None,
) -> None:
    """Make a deeper net that computes what a trained one does (section 1), and keep it as a run."""
    from analysis.cli.train import _command, _run
    from analysis.lens.constructed_runs import compare_runs, construct_run
    from analysis.lens.construction import deeper_spec
    from analysis.runs import default_folder, find_run, load_run
    from analysis.spec import recipe_for

    found = find_run(run, folders(runs))
    spec = deeper_spec(found.config.net, depth)
    recipe = None
    if train:
        changes = {"epochs": epochs, "lr": lr}
        given = {name: value for name, value in changes.items() if value is not None}
        recipe = recipe_for(train, spec, found.config.data, **given)  # type: ignore
    path = construct_run(
        found, depth, runs or default_folder(), recipe=recipe, calibrate=not no_calibrate,
        command=_command(),
    )  # fmt: skip
    if recipe is not None:
        _run(path)
        return
    table, before, after = compare_runs(found, load_run(path))
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    for word, old, new in zip(("training", "test"), before, after, strict=True):
        print(f"{word} error: {found.net} {old:.4f} %, {spec.name} {new:.4f} %")
    print(f"Run: {path}")
