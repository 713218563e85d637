"""The command line: one thin subcommand for each public function of the package.

Errors that a user can mend are printed as one message, with the exit code of their class
(`analysis.errors`): 2 a wrong argument, 3 no data, 4 no such run, 5 import refused, 6 training
failed; 7 cancelled from elsewhere; 130 or 143 after Ctrl-C or SIGTERM; all three resumable. 70 is
an error that nobody foresaw: one sentence, and where its traceback is kept. Heavy imports happen
inside the commands, so that `--help` and `list` answer at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from analysis.cli import (
    argument,
    exchange,
    jobs,
    labels,
    lens,
    publish,
    reproduce,
    runs,
    study,
    survey,
    terminal,
    train,
)

app = typer.Typer(
    name="python -m analysis",
    help="Residual Lens: train plain and residual nets, and see why the deeper ones train or not.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
train.register(app)
runs.register(app)
labels.register(app)
argument.register(app)
jobs.register(app)
exchange.register(app)
survey.register(app)
lens.register(app)
publish.register(app)
reproduce.register(app)
study.register(app)


@app.callback()
def _options(
    traceback: Annotated[
        bool, typer.Option(terminal.TRACEBACK, help="Show where in the code an error came up.")
    ] = False,
) -> None:
    """Residual Lens: train plain and residual nets, and see why the deeper ones train or not."""


def main() -> None:
    """Run the command line and exit with its code."""
    terminal.guard()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # a full disk is said here, not by Python as it ends
    except Exception as error:
        sys.exit(terminal.ended_by(error))
