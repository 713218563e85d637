"""Options that several subcommands share, and the tables they write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from analysis.runs import Run

RunsFolder = Annotated[
    Path | None,
    typer.Option(
        "--runs",
        help="Folder of your runs. [default: $RESIDUAL_LENS_RUNS or ./runs]",
        metavar="FOLDER",
    ),
]
DataName = Annotated[
    str, typer.Option(help="cifar10, cifar100, digits, or folder:PATH (train/ and test/ in it).")
]
DataTitle = Annotated[str, typer.Option(help="What figures call the data.")]
Epochs = Annotated[int | None, typer.Option(help="Instead of the recipe's.", min=1)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Precision = Annotated[str, typer.Option(help="auto, float32, bfloat16.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads.", min=1)]
RunName = Annotated[
    str,
    typer.Argument(
        help="A run's id or path, any unique part of its id, or its net.", metavar="RUN"
    ),
]


def folders(runs: Path | None) -> list[Path]:
    """Where commands look for runs: the bundled ones and the user's.

    Raises:
        RunError: what was named is no folder.
    """
    from analysis.errors import RunError
    from analysis.runs import BUNDLED, default_folder, files

    if runs is not None and files.exists(runs) and not files.is_folder(runs):
        raise RunError("{where} is a file; --runs takes a folder", where=runs)
    return [BUNDLED, runs or default_folder()]


def known_runs(runs: Path | None) -> list[Run]:
    """The readable runs of these folders."""
    from analysis.runs import Run, list_runs

    return [run for run in list_runs(folders(runs)) if isinstance(run, Run)]


def check_writable(file: Path | None) -> None:
    """Before the work whose table goes into a file: whether it can.

    Raises:
        RunError: its folder is not there or can't be written, or it is itself no file.
    """
    from analysis.errors import RunError

    if file is None:
        return
    where = file.absolute().parent
    try:
        is_folder, is_taken = where.is_dir(), file.exists() and not file.is_file()
    except PermissionError:  # a folder on the way can't be entered
        is_folder = is_taken = False
    if not is_folder:
        raise RunError("there is no folder {where} to write {file} in", where=where, file=file.name)
    if is_taken:
        raise RunError("{file} is a folder or a device; name a file", file=file)
    if not os.access(where, os.W_OK | os.X_OK):
        raise RunError("{where} can't be written; name a file in another folder", where=where)


def write_csv(table: pd.DataFrame, file: Path) -> None:
    """A table as CSV, whole or not at all. Raises RunError."""
    from analysis.escape import csv_text
    from analysis.runs.files import write_text

    write_text(file, csv_text(table))
    print(f"Written: {file}")
