"""Listing, checking and reading runs. A damaged one is listed with its reason, never raised."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from io import StringIO
from pathlib import Path

import pandas as pd

from analysis import plan, tables
from analysis.errors import RunDamaged, RunError
from analysis.runs import files
from analysis.runs.format import RunConfig, RunStatus, State
from analysis.runs.liveness import is_locked
from analysis.spec import Kind, Recipe
from analysis.text import Message

BUNDLED = Path(__file__).resolve().parents[2] / "checkpoints"
"""The runs that come with Residual Lens; read-only."""


def default_folder() -> Path:
    """Where new runs go: $RESIDUAL_LENS_RUNS, or `runs` in the current directory."""
    return Path(os.environ.get("RESIDUAL_LENS_RUNS") or "runs")


@dataclass(frozen=True)
class Run:
    """A readable run. `config` and `status` are as they were when it was loaded."""

    path: Path
    config: RunConfig
    status: RunStatus

    @property
    def id(self) -> str:
        """The directory's name."""
        return self.path.name

    @property
    def net(self) -> str:
        """The net's short name."""
        return self.config.net.name

    @property
    def kind(self) -> Kind:
        """`plain` or `residual`."""
        return self.config.net.kind

    @property
    def recipe(self) -> str:
        """The recipe's label and what it began with, unless fresh weights: `short, from plain-20`.

        Where nothing was trained here, only where it came from.
        """
        origin = self.config.origin
        constructed = origin.get("net") if origin.get("kind") == "construction" else None
        if self.config.recipe:
            label = self.config.recipe.label
            return f"{label}, from {constructed}" if constructed else label
        return f"built from {constructed}" if constructed else str(origin.get("kind", "unknown"))

    @property
    def data_title(self) -> str:
        """What figures call the data set; empty where none is known."""
        return self.config.data.title if self.config.data else ""

    @cached_property
    def bundled(self) -> bool:
        """Whether it came with Residual Lens."""
        return self.path.resolve().parent == BUNDLED.resolve()

    @cached_property
    def state(self) -> State:
        """Its state; `interrupted` where the file says running but no process holds the lock."""
        if self.status.state == "running" and not is_locked(self.path):
            return "interrupted"
        return self.status.state

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

    @property
    def comparison_key(self) -> tuple[str, str]:
        """(data fingerprint, recipe): runs are directly comparable where both agree."""
        images = self.config.images.fingerprint if self.config.images else ""
        recipe = self.config.recipe or self._origin_recipe
        return images, repr(replace(recipe, warmup_until=None)) if recipe else self.recipe

    @property
    def from_scratch(self) -> bool:
        """Whether its weights began with the initialisation: no import, no construction."""
        return self.config.recipe is not None and not self.config.origin

    @property
    def is_construction(self) -> bool:
        """Whether it is a net constructed of another (section 1), and not trained on."""
        return self.config.recipe is None and self.config.origin.get("kind") == "construction"

    @property
    def has_no_history(self) -> bool:
        """Whether it never has one: its weights came from elsewhere and were not trained here."""
        return self.config.recipe is None

    @property
    def _origin_recipe(self) -> Recipe | None:
        """Of a net constructed and not trained on: the recipe by which its weights were found."""
        values = self.config.origin.get("recipe")
        return Recipe.from_dict(values) if isinstance(values, dict) else None

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
        """A row a layer and probe during training; empty where none was recorded."""
        return self.table("probes")

    def probe_blocks(self) -> pd.DataFrame:
        """A row a block and probe during training; empty for plain nets and without probes."""
        return self.table("probe_blocks")

    def stamp(self) -> tuple[int, ...]:
        """Changes when any of the run's tables or its status changes: a key for caches."""
        names = [files.STATUS, *(files.table_file(table) for table in tables.SCHEMAS)]
        return tuple(_mtime(self.path / name) for name in names)

    def table(self, table: str) -> pd.DataFrame:
        """Any table of `analysis.tables`; empty where the run has none. Raises RunDamaged."""
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
        """The directory's name."""
        return self.path.name


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
    if not path.is_dir():
        raise RunError(
            "{path} is not a directory; `python -m analysis list` shows the runs", path=path
        )
    config = RunConfig.from_json(files.read_json(path / files.CONFIG))
    status = RunStatus.from_json(files.read_json(path / files.STATUS))
    if status.state == "finished":
        _check_weights(path / files.MODEL)
    return Run(path, config, status)


def _check_weights(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass
    except FileNotFoundError:
        raise RunDamaged("{file} is missing, though the run has finished", file=path.name) from None
    except (SafetensorError, OSError) as error:
        raise RunDamaged("{file} is not whole: {error}", file=path.name, error=error) from error


def list_runs(folders: Iterable[Path | str] | None = None) -> list[Run | DamagedRun]:
    """All runs in the folders, oldest first, damaged ones with their reason.

    Args:
        folders: where to look; by default the bundled runs and the user's.
    """
    return [load_or_damaged(path) for path in run_paths(folders)]


def run_paths(folders: Iterable[Path | str] | None = None) -> list[Path]:
    """The directories that `list_runs` loads, in its order; cheap, so that loading can be cached.

    Args:
        folders: where to look; by default the bundled runs and the user's.
    """
    found: dict[Path, Path] = {}
    for folder in folders if folders is not None else (BUNDLED, default_folder()):
        folder = Path(folder)
        if folder.is_dir():
            found |= {path.resolve(): path for path in sorted(folder.iterdir()) if _is_run(path)}
    return list(found.values())


def _is_run(path: Path) -> bool:
    if path.name.startswith(".") or not path.is_dir():
        return False
    return any((path / name).exists() for name in (files.CONFIG, files.STATUS, files.MODEL))


def load_or_damaged(path: Path) -> Run | DamagedRun:
    """The run in a directory, or why it is none."""
    try:
        return load_run(path)
    except RunError as error:
        return DamagedRun(path, error.message)


def read_table(path: Path, table: str) -> pd.DataFrame:
    """A table of a run; empty where the file is absent. A torn last line is left out.

    Raises:
        RunDamaged: the file is not such a table.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return tables.empty(table)
    except (OSError, ValueError) as error:
        raise RunDamaged("{file} can't be read: {error}", file=path.name, error=error) from error
    whole = text[: text.rfind("\n") + 1]
    if not whole:
        return tables.empty(table)
    try:
        frame = pd.read_csv(StringIO(whole))
    except (ValueError, OverflowError) as error:
        raise RunDamaged("{file} is not a table: {error}", file=path.name, error=error) from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise RunDamaged("{file} has rows that are longer than its header", file=path.name)
    return tables.conform(frame, table, path.name)


def _mtime(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
