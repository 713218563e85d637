"""Listing, checking and reading runs. A damaged one is listed with its reason, never raised."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.errors import RunDamaged, RunError
from analysis.escape import visible
from analysis.runs import files, tables
from analysis.runs.checks import check_finished, read_table
from analysis.runs.format import RunConfig, RunStatus, State
from analysis.runs.listing import bundled_folder, real_path
from analysis.runs.liveness import at_work, elsewhere
from analysis.runs.provenance import (
    Constructed,
    Continued,
    Imported,
    Scratch,
    Unknown,
    constructed,
)
from analysis.runs.stamps import TABLES, Stamp, stamps
from analysis.runs.words import as_html, percent
from analysis.specs import Kind, Recipe, plan, visible_in_files
from analysis.text import Message

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Run:
    """A readable run. `config` and `status` are as they were when it was loaded."""

    path: Path
    config: RunConfig
    status: RunStatus

    @cached_property
    def id(self) -> str:
        """The directory's name."""
        return self.path.name

    @cached_property
    def net(self) -> str:
        """The net's short name."""
        return self.config.net.name

    @property
    def kind(self) -> Kind:
        """The kind of its net: `plain`, `residual`, `preresidual`."""
        return self.config.net.kind

    @cached_property
    def recipe(self) -> str:
        """The recipe's label and what it began with, unless fresh weights: `short, from plain-20`.

        Where nothing was trained here, only where it came from.
        """
        label = self.config.recipe.label if self.config.recipe else ""
        match self.config.origin:
            case Scratch():
                return label or "unknown"
            case Constructed(net=net) | Continued(start=Constructed(net=net)):
                return f"{label}, from {net}" if label else f"built from {net}"
            case Imported():
                return label or "import"
            case Unknown(kind):
                return label or kind

    @property
    def data_title(self) -> str:
        """What figures call the data set; empty where none is known."""
        return self.config.data.title if self.config.data else ""

    @cached_property
    def bundled(self) -> bool:
        """Whether it came with Residual Lens."""
        return os.path.dirname(real_path(str(self.path))) == bundled_folder()  # noqa: PTH120

    @cached_property
    def state(self) -> State:
        """Its state; `interrupted` where the file says running but no process is at work on it."""
        if self.status.state == "running" and not at_work(self.path):
            return "interrupted"
        return self.status.state

    @property
    def host(self) -> str:
        """The other machine that is at work on it; empty where none is."""
        return elsewhere(self.path) if self.state == "running" else ""

    @property
    def parameters(self) -> int:
        """Trained numbers of the net."""
        return plan.parameters(self.config.net)

    @property
    def multiply_adds(self) -> int:
        """Of one image at the run's size."""
        return plan.multiply_adds(self.config.net, self.config.image_size)

    @property
    def weights_path(self) -> Path:
        """The weights and BN statistics."""
        return self.path / files.MODEL

    @cached_property
    def comparison_key(self) -> tuple[str, str]:
        """(images, recipe): runs are directly comparable where both agree.

        Images are the same where fingerprint, numbers and normalization are; what is not known of
        two runs is not the same.
        """
        images, scale = self.config.images, self._input_scale
        seen = f"unknown, of {self.id}"
        if images:
            seen = f"{images.fingerprint}, {images.n_train}, {images.n_test}, {scale}"
        recipe = self.config.recipe or self._origin_recipe
        return seen, recipe.written if recipe else self.recipe

    @property
    def _input_scale(self) -> str:
        """The normalization by its numbers, whatever it is called; a file's own is that file's."""
        scale = self.config.normalization
        if "mean" in scale and "std" in scale:
            return f"{scale['mean']} / {scale['std']}"
        if not scale and isinstance(self.config.origin, Imported):
            return f"own of {self.config.origin.sha256 or self.id}"
        return scale.get("name") or "own"

    @cached_property
    def from_scratch(self) -> bool:
        """Whether its weights began with the initialisation: no import, no construction."""
        return self.config.recipe is not None and self.config.origin == Scratch()

    @cached_property
    def is_construction(self) -> bool:
        """Whether it is a net constructed of another (section 1), and not trained on."""
        return self.config.recipe is None and isinstance(self.config.origin, Constructed)

    @property
    def construction(self) -> Constructed | None:
        """The construction that it began with, trained on or not."""
        return constructed(self.config.origin)

    @property
    def has_no_history(self) -> bool:
        """Whether it never has one: its weights came from elsewhere and were not trained here."""
        return self.config.recipe is None

    @property
    def _origin_recipe(self) -> Recipe | None:
        """Of a net constructed and not trained on: the recipe by which its weights were found."""
        return self.construction.recipe if self.construction else None

    def kept_weights(self) -> dict[int, Path]:
        """The weights of every epoch, by epoch; none where the training did not keep them."""
        found = (self.path / files.KEPT).glob("epoch-*.safetensors")
        return {int(path.stem.removeprefix("epoch-")): path for path in sorted(found)}

    @property
    def has_weights(self) -> bool:
        """Whether its weights are here: not before the first epoch, nor if left out."""
        return self.status.weights != "left out" and self.weights_path.is_file()

    @property
    def has_images(self) -> bool:
        """Whether its data set is on this machine, so that nothing would be downloaded."""
        data = self.config.data_here
        return data is not None and data.is_at_hand

    def check_weights(self) -> None:
        """Before something that needs the weights.

        Raises:
            RunDamaged: there are none; the message says why, and how to get them.
        """
        if self.status.weights == "left out":
            raise RunDamaged(
                "The weights of {run} were left out when it was copied here; this command trains "
                "it again: {command}",
                run=self.id, command=self.config.command or "python -m analysis train",
            )  # fmt: skip
        if not self.weights_path.is_file():
            raise no_weights(self.weights_path)

    def history(self) -> pd.DataFrame:
        """One row per epoch; empty where there is none. Raises RunDamaged."""
        return self.table("history")

    def responses(self) -> pd.DataFrame:
        """One row per layer, epoch and source; empty where there is none. Raises RunDamaged.

        Of an epoch that was measured several times, the first measurement: `table` has all.
        """
        return tables.first_measurement(self.table("responses"))

    def refinement(self) -> pd.DataFrame:
        """One row per block and epoch, else as `responses`; empty for plain nets."""
        return tables.first_measurement(self.table("refinement"))

    def probes(self) -> pd.DataFrame:
        """The `probes` table; empty where the run was made without."""
        return self.table("probes")

    def probe_blocks(self) -> pd.DataFrame:
        """The `probe_blocks` table; empty for plain nets and where the run was made without."""
        return self.table("probe_blocks")

    def _repr_html_(self) -> str:
        return as_html(
            self.net,
            {
                "id": self.id, "recipe": self.recipe, "data": self.data_title,
                "state": self.state, "epochs": self.status.epoch,
                "training error": percent(self.status.train_error),
                "test error": percent(self.status.test_error),
            },
        )  # fmt: skip

    def stamp(self) -> Stamp:
        """Changes when any of the run's tables changes: a key for caches."""
        return stamps(self.path, TABLES)

    def table(self, table: str) -> pd.DataFrame:
        """Any table of `analysis.runs.tables`; empty where the run has none. Raises RunDamaged."""
        try:
            return read_table(self.path / files.table_file(table), table)
        except RunDamaged as error:
            raise RunDamaged("{run}: {error}", run=self.id, error=error) from error


@dataclass(frozen=True)
class DamagedRun:
    """A directory that should be a run and is not whole."""

    path: Path
    reason: Message

    @property
    def id(self) -> str:
        """The directory's name; what is not text in it is written out."""
        return visible(self.path.name)


def no_weights(path: Path) -> RunDamaged:
    """The error of a run that has not got as far."""
    return RunDamaged("{path} is missing: this run has no weights yet", path=path)


def load_run(path: Path | str) -> Run:
    """The run in a directory, checked.

    Raises:
        RunDamaged: a file is missing, torn or contradicts another; the message names it.
        RunError: there is no such directory.
    """
    path = Path(path)
    if not files.is_folder(path):
        raise RunError(
            "{path} is not a directory; `python -m analysis list` shows the runs", path=path
        )
    if visible_in_files(path.name) != path.name:
        raise RunDamaged("the name of its folder is not text in UTF-8; rename it")
    config = RunConfig.from_json(files.read_json(f"{path}{os.sep}{files.CONFIG}"))
    status = RunStatus.from_json(files.read_json(f"{path}{os.sep}{files.STATUS}"))
    if status.state == "finished":
        check_finished(path, config, status)
    return Run(path, config, status)


def load_or_damaged(path: Path) -> Run | DamagedRun:
    """The run in a directory, or why it is none."""
    try:
        return load_run(path)
    except RunError as error:
        return DamagedRun(path, error.message)
