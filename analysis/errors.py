"""What can go wrong, in words for the person who has to mend it.

Every exception that a user can cause is one of these: the command line prints its message and
exits with `exit_code`, the app shows it in a box, and neither shows a traceback. A message says
what was wrong (value, file, field), what is possible, and what to do. Each class also derives
from the fitting builtin, so that library users can catch what they expect.
"""

from __future__ import annotations


class LensError(Exception):
    """Base of every error that a user can cause or mend."""

    exit_code = 1


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


class TrainingFailed(LensError, RuntimeError):
    """A training that had to stop: non-finite loss, no memory, no room on the disk."""

    exit_code = 6
