"""What can go wrong, in words for the person who has to mend it.

Every exception that a user can cause is one of these: the command line prints its message and
exits with `exit_code`, the app shows it in a box, and neither shows a traceback. A message says
what was wrong (value, file, field), what is possible, and what to do. Each class also derives
from the fitting builtin, so that library users can catch what they expect.
"""

from __future__ import annotations

from analysis.text import Message


class LensError(Exception):
    """Base of every error that a user can cause or mend.

    The first argument is the English text, a literal, so that the catalogue finds it; the values of
    its places are named behind it: `DataError("{folder} is empty", folder=path)`. `str()` of the
    error is in the language of whoever reads it, not of the thread that raised it.
    """

    exit_code = 1

    def __init__(self, text: str | Message = "", /, **values: object) -> None:
        self.message = text if isinstance(text, Message) else Message(text, **values)
        super().__init__(self.message)

    def __str__(self) -> str:
        return str(self.message)


def busy() -> LensError:
    """All places for questions to nets are taken, and nobody has left one for a while."""
    return LensError("The server is busy with others' questions. Try again in a few seconds.")


class SpecError(LensError, ValueError):
    """A net, recipe or data description that does not make sense."""

    exit_code = 2


class DataError(LensError, RuntimeError):
    """Images that can't be had, or that are not what was described."""

    exit_code = 3


class RunError(LensError, RuntimeError):
    """A run that can't be found, read or written."""

    exit_code = 4


class RunDamaged(RunError):
    """A run directory with a missing, torn or contradictory file."""


class RunInUse(RunError):
    """A run that another live process is training."""


class ImportRefused(LensError, ValueError):
    """A foreign checkpoint that is not safe, not complete or not one of our families."""

    exit_code = 5


class UnknownNet(ImportRefused):
    """A checkpoint that was read, and holds none of our families."""


class TrainingFailed(LensError, RuntimeError):
    """A training that had to stop: non-finite loss, no memory, no room on the disk."""

    exit_code = 6
