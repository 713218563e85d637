"""Whether a run can go on: asked before it is queued, and again under its lock before it trains."""

from __future__ import annotations

from pathlib import Path

from analysis.errors import RunDamaged, RunError, RunInUse
from analysis.runs.files import MODEL, RESUME
from analysis.runs.provenance import Continued
from analysis.runs.reader import Run


def is_resumable(run: Run) -> bool:
    """Whether its training can go on, finished or not: it never began, or its momentum is there."""
    if run.status.epoch:
        return (run.path / RESUME).exists()
    return not _lacks_first_weights(run)


def _lacks_first_weights(run: Run) -> bool:
    """Whether a constructed net that is to be trained on is not there: its making was killed."""
    return isinstance(run.config.origin, Continued) and not (run.path / MODEL).exists()


def check_resumable(run: Run, locked: bool = False) -> None:
    """Raises RunError or RunInUse where a run can't go on, saying why.

    `locked`: this process holds the run, so that nobody else trains it.
    """
    if run.bundled:
        raise RunError("{run} came with Residual Lens and is not trained further", run=run.id)
    if run.config.recipe is None and not run.is_construction:
        raise RunError(
            "{run} was not trained here ({recipe}); there is nothing to resume",
            run=run.id,
            recipe=run.recipe,
        )
    if run.status.state == "finished":
        raise RunError("{run} has finished; there is nothing to resume", run=run.id)
    if not locked and run.host:
        raise RunInUse("{run} is running on {host}", run=run.id, host=run.host)
    if not locked and run.state == "running":
        raise RunInUse("{run} is running already", run=run.id)
    if _lacks_first_weights(run):
        raise RunDamaged(
            "{run} never got the weights of the net it was to train on; delete it and train that "
            "net on again",
            run=run.id,
        )
    if not is_resumable(run):
        raise lost_position(run.path)


def lost_position(path: Path) -> RunDamaged:
    """The error where the weights are there, but not where the training stood."""
    return RunDamaged(
        "{run} has no {resume}, so its training can't go on; start a new run",
        run=path.name,
        resume=RESUME,
    )
