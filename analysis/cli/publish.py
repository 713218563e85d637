"""`publish`: a static site of runs, for a class without the app."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.cli.options import RunsFolder, folders

if TYPE_CHECKING:
    from analysis.runs import Run


LARGE = 8
"""Megabytes; a site of the bundled runs alone has nearly as much."""


def register(app: typer.Typer) -> None:
    """Add this module's subcommand."""
    app.command()(publish)


def publish(
    folder: Annotated[Path, typer.Argument(help="A new folder, or that of an earlier site.")],
    run: Annotated[
        list[str] | None,
        typer.Argument(
            help="Runs to show, the reference first; by default the paper's comparisons.",
            metavar="[RUN ...]",
        ),
    ] = None,
    runs: RunsFolder = None,
) -> None:
    """Write a static site: Compare, Small refinements, The argument; English and Chinese.

    Open its index.html from the folder, or put the folder on GitHub Pages or a USB stick.
    """
    from analysis.figures.site import Learned, publish
    from analysis.runs import (
        DamagedRun,
        find_comparable,
        list_recordings,
        list_runs,
        only_readable,
    )

    if run:
        found, damaged = only_readable([find_comparable(name, folders(runs)) for name in run])
    else:
        listed = [*list_runs(folders(runs)), *list_recordings(folders(runs))]
        damaged = [one for one in listed if isinstance(one, DamagedRun)]
        found, torn = only_readable([one for one in listed if not isinstance(one, DamagedRun)])
        damaged = [*damaged, *torn]
    for left_out in damaged:
        print(f"{left_out.id} is left out: {left_out.reason}", file=sys.stderr)
    written = publish(folder, found, found if run else (), Learned(_of_run, _of_pair))
    size = sum(file.stat().st_size for file in written) / 1e6
    print(f"Written: {written[0]} and {len(written) - 1} more files, {size:.1f} MB in all")
    if size > LARGE:
        print(
            f"More than {LARGE} MB: slow to open over a class's network; name fewer runs to show.",
            file=sys.stderr,
        )


def _of_run(run: Run, lesson: str) -> Any:
    """What is kept of a net's lesions or readouts; None where there is nothing."""
    from analysis.errors import LensError
    from analysis.runs.learned import read_lesions, read_readouts

    try:
        return {"lesions": read_lesions, "readouts": read_readouts}[lesson](run)
    except LensError:  # such as of a run without its weights
        return None


def _of_pair(first: Run, second: Run) -> Any:
    from analysis.errors import LensError
    from analysis.runs.learned import read_similarity

    try:
        return read_similarity(first, second)
    except LensError:
        return None
