"""`tag`, `note`: what people say of a run, kept in a file of its own."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from analysis.cli.options import RunName, RunsFolder, folders


def register(app: typer.Typer) -> None:
    """Add this module's subcommands."""
    app.command()(tag)
    app.command()(note)


def tag(
    run: RunName,
    tags: Annotated[list[str] | None, typer.Argument(help="Tags to add.", metavar="TAG")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="A tag to take off.")] = None,
    runs: RunsFolder = None,
) -> None:
    """Add tags to a run, or take some off; without any, show those it has."""
    from analysis.runs import find_run
    from analysis.runs.labels import change_tags, labels_of

    found = find_run(run, folders(runs))
    labels = labels_of(found)
    if tags or remove:
        labels = change_tags(found, tags or (), remove or ())
    print(f"{found.id}: {' '.join(labels.tags) or 'no tags'}")


def note(
    run: RunName,
    text: Annotated[str | None, typer.Argument(help="The note; empty removes it.")] = None,
    name: Annotated[str | None, typer.Option(help="What figures call the run.")] = None,
    caveat: Annotated[
        list[str] | None, typer.Option(help="What speaks against its numbers; several times.")
    ] = None,
    runs: RunsFolder = None,
) -> None:
    """Write a note on a run, its name or caveats; without any, show what there is."""
    from analysis.runs import find_run
    from analysis.runs.labels import change_labels, labels_of

    found = find_run(run, folders(runs))
    changes: dict[str, Any] = {}
    if text is not None:
        changes["note"] = text
    if name is not None:
        changes["name"] = name
    if caveat:
        changes["caveats"] = tuple(caveat)
    if changes:
        change_labels(found, **changes)
    labels = labels_of(found)
    print(f"{found.id}: {labels.note or 'no note'}")
    if labels.name:
        print(f"name: {labels.name}")
    for line in labels.caveats:
        print(f"caveat: {line}")
