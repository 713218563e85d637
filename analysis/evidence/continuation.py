"""Asking for constructed nets, for one trained on and the same depth from scratch; finding them.

Does the solver keep what it was given (section 1)? Both runs have the shallower net's images and,
unless told otherwise, its recipe. All are runs like any other, so the queue works them off. No
torch: `construct.constructed_runs` makes the nets.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from analysis import jobs
from analysis.commands import about
from analysis.errors import RunError, SpecError
from analysis.jobs.queue import create_waiting, put_last, queue_lock
from analysis.runs import Run, RunConfig, create_run, files, open_writer
from analysis.runs.format import now
from analysis.runs.provenance import (
    Constructed,
    Continued,
    Provenance,
    Scratch,
    constructed,
)
from analysis.specs import RECIPES, Compute, Recipe, plan

_ALIVE = ("queued", "running", "finished")


@dataclass(frozen=True)
class Study:
    """What there is of one constructed net."""

    built: Run
    """As constructed, not trained on."""
    shallow: Run | None
    """The run it was made of, where it is still there."""
    trained_on: list[Run] = field(default_factory=list)
    scratch: list[Run] = field(default_factory=list)
    """The same net, images and recipe from the initialisation; several seeds."""


def is_built(run: Run) -> bool:
    """Whether a run is a constructed net as it was made, and measured."""
    return run.is_construction and run.state == "finished"


def trained_with(run: Run) -> Recipe:
    """The recipe that chose a run's images: its own, or that of the run it was constructed from.

    Raises:
        RunError: it names no data.
    """
    if run.config.data is None:
        raise RunError(
            "{run} names no data set, so a net made of it can't be measured or trained on; "
            "take a run that was trained here",
            run=run.id,
        )
    if run.config.recipe is not None:
        return run.config.recipe
    known = run.construction.recipe if run.construction else None
    return known or Recipe("all images", epochs=1)


def images_at_hand(run: Run) -> bool:
    """Whether the images of a run are on this machine, or can be downloaded."""
    try:
        data = run.config.data_here
        return data is not None and data.count_classes() > 0
    except (SpecError, OSError):
        return False


def prepare_construction(
    run: Run, depth: int, folder: Path | str, *, calibrate: bool = True, command: str = ""
) -> Path:
    """A run that waits to be constructed of another one's net and measured.

    Args:
        run: the run of the shallower net.
        depth: of the new net.
        folder: where runs go.
        calibrate: set the inserted BN layers from training images, so that a plain net is close
            to its shallower one in training mode too.
        command: the command line that makes this run.

    Returns:
        The new run's directory, for `construct.constructed_runs.carry_out` or the queue.

    Raises:
        SpecError: as `plan.deeper_spec`.
        RunError: the run names no data, its images are not here, or it has no weights; the folder
            can't be written.
    """
    return create_run(folder, _construction_config(run, depth, calibrate, command))


def _construction_config(run: Run, depth: int, calibrate: bool, command: str) -> RunConfig:
    spec = plan.deeper_spec(run.config.net, depth)
    run.check_weights()
    recipe = trained_with(run)
    if not images_at_hand(run):
        raise RunError(
            "The images of {run} are not on this machine ({data}), so a net made of it can't be "
            "measured here; take a run whose images are here, or say where they are: {command}",
            run=run.id, data=run.config.data, command=about("images", run, "FOLDER"),
        )  # fmt: skip
    origin = Constructed(run.id, run.net, calibrate, recipe, place=str(run.path.resolve()))
    return RunConfig(
        net=spec, recipe=None, data=run.config.data, images=run.config.images,
        seed=run.config.seed, compute=Compute("cpu", "float32", compile=False), created=now(),
        command=command, origin=origin,
    )  # fmt: skip


@dataclass(frozen=True)
class Construction(jobs.Work):
    """As `prepare_construction`, in the background; asked for once only while it is under way."""

    run: Run
    depth: int
    calibrate: bool = True
    command: str = ""

    def enqueue(self, folder: Path) -> jobs.Enqueued:
        """The new run, or the one that is there where it is made already."""
        config = _construction_config(self.run, self.depth, self.calibrate, self.command)
        with queue_lock(folder):
            for other in constructions_under_way(jobs.list_jobs(folder)):
                if other.config.net == config.net and _same_making(other.config, config):
                    return jobs.Enqueued([other.path])
            return jobs.Enqueued([create_waiting(folder, config)])


def _same_making(one: RunConfig, other: RunConfig) -> bool:
    first, second = constructed(one.origin), constructed(other.origin)
    return bool(
        first and second
        and (first.run, first.calibrated) == (second.run, second.calibrated)
    )  # fmt: skip


def constructions_under_way(runs: Sequence[Run]) -> list[Run]:
    """Those in the queue, and those that are being made and measured."""
    made = [run for run in runs if run.is_construction]
    return [r for r in made if r.state == "running" or jobs.is_waiting(r)]


def own_recipe(built: Run) -> Recipe:
    """The recipe that trained the shallower net, fitted to the depth as the paper does.

    Raises:
        RunError: it is not known, since the net was imported.
    """
    if not has_recipe(built):
        raise RunError(
            "{run} was made of a net without a recipe; name one with --train", run=built.id
        )
    recipe = trained_with(built)
    net = built.config.net
    warms = recipe.name == "paper" and net.depth >= 110 and net.family == "cifar"
    return replace(recipe, warmup_until=80.0 if warms else recipe.warmup_until)


def has_recipe(run: Run) -> bool:
    """Whether `trained_with` is a recipe that trains: not so of imported nets and their like.

    Raises:
        RunError: as `trained_with`.
    """
    return trained_with(run).name in RECIPES


def study(built: Run, runs: Sequence[Run]) -> Study:
    """Everything there is of one constructed net, in any state that is or may become a result."""
    made = built.construction
    shallow = next((run for run in runs if made and run.id == made.run), None)
    recipe = built.comparison_key[1]
    alive = [run for run in runs if run.config.recipe and run.state in _ALIVE]
    alike = [run for run in alive if run.config.net == built.config.net and _same_data(run, built)]
    on = [r for r in alike if _begins_with(r, built) and _answers(r, built)]
    scratch = [r for r in alike if r.from_scratch and r.comparison_key[1] == recipe]
    return Study(built, shallow, on, scratch)


def _begins_with(run: Run, built: Run) -> bool:
    match run.config.origin:
        case Continued(built=begun):
            return begun == built.id
        case _:
            return False


def _answers(run: Run, built: Run) -> bool:
    """Whether a net trained on began as it was made, and may be compared with what was given.

    By the shallower net's recipe where it has one, else at least over the same images.
    """
    if not run.has_weights and run.status.weights != "left out":
        return False
    if has_recipe(built):
        return run.comparison_key[1] == built.comparison_key[1]
    return _same_images(run.config.recipe, built.config.origin)


def _same_data(run: Run, built: Run) -> bool:
    """By the images where both are known; a waiting run has not seen its own yet."""
    if run.config.images and built.config.images:
        return run.config.images.fingerprint == built.config.images.fingerprint
    return run.config.data in (built.config.data, built.config.data_here)


def continue_run(
    built: Run, folder: Path | str, *, recipe: Recipe | None = None, command: str = ""
) -> Path:
    """A run that trains a constructed net on: it waits, with its weights and its epoch 0.

    Args:
        built: as constructed.
        folder: where runs go.
        recipe: by default the shallower net's.
        command: the command line that makes this run.

    Returns:
        The new run's directory, for `train_run` or the queue.

    Raises:
        RunError: not a constructed net as it was made; the folder can't be written.
    """
    if not is_built(built):
        raise RunError("{run} is no constructed net as it was made", run=built.id)
    chosen = recipe or own_recipe(built)
    built.check_weights()
    start = built.config.origin
    assert isinstance(start, Constructed)
    origin = Continued(start, built.id)
    path = create_run(folder, _config(built, chosen, command, origin))
    try:
        with open_writer(path) as writer:
            files.write_whole(
                path / files.MODEL, lambda temporary: shutil.copyfile(built.weights_path, temporary)
            )
            if recipe is None or _same_images(recipe, start):
                writer.append("history", built.history())
    except BaseException:  # without its weights it would begin with the initialisation
        shutil.rmtree(path, ignore_errors=True)
        raise
    return path


def _same_images(recipe: Recipe | None, origin: Provenance) -> bool:
    """Whether a recipe chooses the images over which a constructed net was measured."""
    start = constructed(origin)
    known = start.recipe if start else None
    names = ("train_images", "test_images", "validation")
    return all(getattr(recipe, name, None) == getattr(known, name, None) for name in names)


def _config(
    built: Run, recipe: Recipe, command: str = "", origin: Provenance = Scratch()
) -> RunConfig:
    return RunConfig(
        net=built.config.net, recipe=recipe, data=built.config.data_here, images=None,
        seed=built.config.seed, compute=Compute(), created=now(), command=command,
        origin=origin,
    )  # fmt: skip


@dataclass(frozen=True)
class Experiment(jobs.Work):
    """What is missing of a study: the net trained on, and from scratch by the same recipe."""

    built: Run
    runs: Sequence[Run]
    """All that are known."""
    command: str = ""

    def enqueue(self, folder: Path) -> jobs.Enqueued:
        """The new runs; none where both are there, queued or running already.

        Raises:
            RunError: the recipe is not known, or the folder can't be written.
        """
        built, command, recipe = self.built, self.command, own_recipe(self.built)
        done = jobs.Enqueued()
        with queue_lock(folder):
            asked_elsewhere = jobs.list_jobs(folder)
            known = {run.id: run for run in (*self.runs, *asked_elsewhere)}
            found = study(built, list(known.values()))
            if not found.trained_on:
                done.paths.append(continue_run(built, folder, command=command))
                put_last(done.paths[-1])
            if not found.scratch:
                done.paths.append(create_waiting(folder, _config(built, recipe, command)))
        return done


def built_runs(runs: Sequence[Run]) -> list[Run]:
    """The constructed nets as they were made, newest first."""
    return sorted((r for r in runs if is_built(r)), key=lambda r: r.config.created, reverse=True)
