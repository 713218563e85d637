"""Trainings that would complete the evidence: same images and recipe as the runs there are."""

from __future__ import annotations

from collections.abc import Iterable

from analysis.errors import RunError
from analysis.jobs import Request, requests_for
from analysis.jobs.request import recipe_changes
from analysis.runs import Run
from analysis.spec import DataSpec


def requests_like(nets: Iterable[str], run: Run | None, seed: int = 0) -> list[Request]:
    """Requests that are directly comparable with a run; without one, on digits in a minute.

    Args:
        nets: short names.
        run: one of the group to complete.
        seed: of the new runs.

    Raises:
        SpecError: its images are not on this machine, or a net makes no sense.
        RunError: its recipe is none that can be asked for, so no run would be comparable.
    """
    if run is None:
        return requests_for(nets, DataSpec.parse("digits"), "quick", seed=seed)
    recipe, data = run.config.recipe, run.config.data
    if recipe is None or data is None:
        raise RunError("{run} names no recipe or no data set", run=run.id)
    name, changes = recipe_changes(recipe)
    return requests_for(nets, data, name, changes, seed)
