"""The command line: one thin subcommand for each public function of the package.

Errors that a user can mend are printed as one message, with the exit code of their class
(`analysis.errors`): 2 a wrong argument, 3 no data, 4 no such run, 5 import refused, 6 training
failed; 7 cancelled from elsewhere; 130 or 143 after Ctrl-C or SIGTERM; all three resumable. 70 is
an error that nobody foresaw: one sentence, and where its traceback is kept. Heavy imports happen
inside the commands, so that `--help` and `list` answer at once.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import Annotated

import typer

from analysis.cli import terminal

MODULES = {
    "train": ("train", "resume"),
    "runs": ("list", "show", "record", "compare", "bundle", "probe"),
    "labels": ("tag", "note"),
    "argument": ("construct", "identity", "complexity", "claims"),
    "jobs": ("jobs", "cancel"),
    "exchange": ("import", "import-log", "export"),
    "survey": ("survey", "images"),
    "lens": ("lesions", "similarity"),
    "publish": ("publish",),
    "reproduce": ("reproduce",),
    "study": ("study",),
}
"""The subcommands of each module, in the order of `--help`."""


@cache
def build(command: str = "") -> typer.Typer:
    """The command line.

    Args:
        command: the one that is asked for: with those of its module alone it is built in half the
            time. Where there is no such command, all are there, for what is said then.
    """
    app = typer.Typer(
        name="python -m analysis",
        help="Residual Lens: train plain and residual nets, and see why the deeper ones train or "
        "not.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
    )
    app.callback()(_options)
    asked = [module for module, commands in MODULES.items() if command in commands]
    for module in asked or MODULES:
        import_module(f"analysis.cli.{module}").register(app)
    return app


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
            build(*sys.argv[1:2])()
        finally:
            sys.stdout.flush()  # a full disk is said here, not by Python as it ends
    except Exception as error:
        sys.exit(terminal.ended_by(error))
