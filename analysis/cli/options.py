"""Options that several subcommands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunsFolder = Annotated[
    Path | None,
    typer.Option(
        "--runs",
        help="Folder of your runs. [default: $RESIDUAL_LENS_RUNS or ./runs]",
        metavar="FOLDER",
    ),
]
RunName = Annotated[
    str,
    typer.Argument(
        help="A run's id or path, any unique part of its id, or its net.", metavar="RUN"
    ),
]


def folders(runs: Path | None) -> list[Path]:
    """Where commands look for runs: the bundled ones and the user's."""
    from analysis.runs import BUNDLED, default_folder

    return [BUNDLED, runs or default_folder()]
