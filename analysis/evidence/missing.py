"""Trainings that would complete the evidence: same images and recipe as the runs there are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from analysis.commands import command
from analysis.errors import RunError
from analysis.jobs import Request, requests_for
from analysis.runs import Run
from analysis.specs import DataSpec, NetSpec, Recipe

_CHANGES = ("epochs", "batch_size", "lr", "weight_decay", "validation", "augment")
"""Of a recipe, what a request can ask for."""


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
    recipe, data = run.config.recipe, run.config.data_here
    if recipe is None or data is None:
        raise RunError("{run} names no recipe or no data set", run=run.id)
    name, changes = recipe_changes(recipe)
    return requests_for(nets, data, name, changes, seed)


def recipe_changes(recipe: Recipe) -> tuple[str, dict]:
    """The preset that a recipe began as, and what was changed of it.

    Raises:
        RunError: something was changed that can't be asked for.
    """
    preset = Recipe.parse(recipe.name)
    changes = {
        name: getattr(recipe, name)
        for name in _CHANGES
        if getattr(recipe, name) != getattr(preset, name)
    }
    made = Recipe.parse(recipe.name, **changes)
    if made.label != recipe.label:
        raise RunError(
            "The recipe {recipe} was changed in ways that can't be asked for here",
            recipe=recipe.label,
        )
    return recipe.name, changes


def commands_elsewhere(
    nets: Iterable[str], run: Run | None, seed: int = 0, folder: Path | None = None
) -> list[str]:
    """Command lines for a machine that has the images, by the run's recipe with all its changes.

    Only the place of images in a folder is left to fill in: PATH. A recipe that can't be asked for
    in full is named as far as it can be.
    """
    config = run.config if run else None
    data = config.data if config else None
    if data is None or data.name == "folder":
        data = _anywhere(data)
    if config is None or config.recipe is None:  # the recipe is `train`'s own
        options = ["--data", str(data), *(["--seed", str(seed)] if seed else [])]
        return [command("train", "--net", net, *options, runs=folder) for net in nets]
    try:
        name, changes = recipe_changes(config.recipe)
    except RunError:
        name, changes = config.recipe.name, {}
    return [Request(NetSpec.parse(net), data, name, changes, seed).command(folder) for net in nets]


def _anywhere(data: DataSpec | None) -> DataSpec:
    """A folder of images whose place is to be filled in; a title that somebody gave it is kept."""
    if data is None:
        return DataSpec("folder", "PATH")
    given = data.title if data.title != DataSpec.parse(str(data)).title else ""
    return DataSpec("folder", "PATH", given, data.resize)
