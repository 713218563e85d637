"""Every command that is printed or recorded: exact, and quoted for the reader's shell.

One function, so that what a person copies does what was meant: no number is rounded, a path with a
blank stays one word, and the runs folder is named where the command would look elsewhere.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.escape import visible

if TYPE_CHECKING:
    from analysis.runs import Run

PROGRAM = ("python", "-m", "analysis")
_PLAIN = re.compile(r"[\w./\\:+=-]+", re.ASCII)
"""What neither cmd.exe nor PowerShell reads as anything but text."""


def command(*words: object, runs: Path | str | None = None) -> str:
    """`python -m analysis WORDS`, ready to copy.

    Args:
        words: the subcommand, its arguments and options; numbers are written exactly.
        runs: the folder of the runs that it is about; named where it is not the usual one.
    """
    return quoted([*PROGRAM, *map(exact, words), *runs_option(runs)])


def runs_option(runs: Path | str | None) -> list[str]:
    """`--runs FOLDER`, or nothing where a command looks there by itself."""
    return [] if runs is None or _is_usual(Path(runs)) else ["--runs", str(runs)]


def about(verb: str, run: Run | Path, *words: object) -> str:
    """A command about one run, such as `resume`: by its id where that finds it, else by its path.

    Args:
        verb: the subcommand.
        run: the run, or its directory.
        words: further arguments and options.
    """
    return command(verb, name_of(run), *words)


def name_of(run: Run | Path) -> str:
    """The word by which a command finds a run from here."""
    from analysis.runs import BUNDLED

    path = run if isinstance(run, Path) else run.path
    found = path.parent == BUNDLED or _is_usual(path.parent)
    return path.name if found and not path.name.startswith("-") else str(path.absolute())


def this_command() -> str:
    """The command line of this process, as it is recorded in what it makes."""
    return quoted([*PROGRAM, *map(visible, sys.argv[1:])])


def exact(word: object) -> str:
    """A word of a command line: of a number all digits that it needs to be the same again."""
    return repr(float(word)) if isinstance(word, float) else str(word)


def quoted(words: Sequence[str], windows: bool = os.name == "nt") -> str:
    """Words as one line for the shell of this system: sh, or cmd.exe and PowerShell."""
    return " ".join(map(_windows_word, words)) if windows else shlex.join(words)


def split(line: str, windows: bool = os.name == "nt") -> list[str]:
    """The words that `quoted` made a line of; by blanks where it is not such a line."""
    if windows:
        return [_plain_word(*found) for found in _WINDOWS_WORD.findall(line)]
    try:
        return shlex.split(line)
    except ValueError:  # a quotation mark is missing
        return line.split()


_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_LONGEST = 10_000
"""Characters of a command that somebody typed."""


def split_anywhere(line: str) -> tuple[list[str], bool]:
    """The words of a line that was quoted for any system's shell, and whether for Windows'.

    None where its quotation marks don't fit, since nobody can say where a word ends, nor of a line
    that nobody typed.
    """
    bare = _QUOTED.sub("", line)
    if len(line) > _LONGEST or "'" in bare or '"' in bare:
        return [], False
    windows = "\\" in bare or os.name == "nt"  # sh's lines have none outside of quotes
    return split(line, windows), windows


_WINDOWS_WORD = re.compile(r""" "([^"]*)"(?!\S) | '((?:[^']|'')*)'(?!\S) | (\S+) """, re.VERBOSE)


def _plain_word(in_double: str, in_single: str, bare: str) -> str:
    if in_single:
        return in_single.replace("''", "'").replace('\\"', '"')
    return bare or re.sub(r"(\\+)$", lambda end: end[0][: len(end[0]) // 2], in_double)


def _windows_word(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    if '"' in word or "$" in word or "`" in word:  # PowerShell alone has a way to say these
        return "'" + word.replace("'", "''").replace('"', '\\"') + "'"
    # Backslashes before the closing quote are doubled, or they would escape it.
    return '"' + re.sub(r"(\\+)$", r"\1\1", word) + '"'


def _is_usual(folder: Path) -> bool:
    """Whether it is ./runs, where a command looks in this or another shell alike.

    Not so a folder that is named in a variable, which the reader's shell may not have.
    """
    from analysis.runs import default_folder

    usual = Path("runs").absolute()
    return folder.absolute() == usual == default_folder().absolute()
