"""What is known of a module that is no net of ours, on disk: `recording.json` and tables.

Layer responses and refinement that were measured once (`observe`), the history of somebody else's
training loop while it goes on (`watch`), or curves from a log. A recording has no net that could be
built again and no weights, so it is no run: what compares (Compare, `show`, `compare`) knows of it,
and Train shows one that goes on. It lives in the runs folder, in a directory that says so by the
name of its file; `progress.json` is there where there is a training. Knows no torch.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from analysis.errors import RunDamaged, RunError
from analysis.runs import files, listing, tables
from analysis.runs.checks import read_table
from analysis.runs.fields import Count, check_fields
from analysis.runs.files import PROGRESS, RECORDING
from analysis.runs.format import RunStatus, State, now
from analysis.runs.listing import recording_paths
from analysis.runs.liveness import is_locked
from analysis.runs.reader import DamagedRun, Run
from analysis.runs.remembering import remembered
from analysis.runs.stamps import TABLES, Stamp, stamps
from analysis.runs.words import as_html, percent

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
MAX_TITLE = 60
"""Characters: it has to fit into a legend."""


@dataclass(frozen=True)
class RecordingInfo:
    """What is known of a recorded module."""

    title: str
    """What figures call it."""
    data: str = ""
    """What its images were, in words; empty where nobody said."""
    module: str = ""
    """Its class."""
    parameters: Count | None = None
    """Trained numbers; None where only a table was saved."""
    created: str = ""
    """ISO 8601 in UTC."""
    origin: str = "recording"
    """`recording`: measured once; `watched`: of a training loop; `log`: curves from a file."""


_RECIPES = {"watched": "own loop", "log": "imported log"}
_ROWS = {
    "responses": ["epoch", "layer", "source"],
    "refinement": ["epoch", "block_name"],
    "points": ["epoch", "point"],
}
"""What tells a table's rows apart; one that was measured again has its last value."""


@dataclass(frozen=True)
class SavedRecording:
    """A recording on disk; named and drawn like a `Run` where they are compared."""

    path: Path
    info: RecordingInfo
    status: RunStatus | None = None
    """Of the training; None: nothing was trained."""

    kind: ClassVar[Literal["other"]] = "other"

    @property
    def id(self) -> str:
        """The directory's name."""
        return self.path.name

    @property
    def net(self) -> str:
        """What figures call it."""
        return self.info.title

    @property
    def data_title(self) -> str:
        """What its images were."""
        return self.info.data

    @cached_property
    def n_images(self) -> int:
        """Images over which it was measured; 0: none."""
        measured = [t["n_images"] for t in (self.responses(), self.refinement()) if len(t)]
        return int(max(images.max() for images in measured)) if measured else 0

    @property
    def recipe(self) -> str:
        """What it is, in place of a recipe."""
        return _RECIPES.get(self.info.origin, "recording")

    @property
    def has_no_history(self) -> bool:
        """Whether it never has one."""
        return self.status is None

    @cached_property
    def state(self) -> State:
        """Of the training; `interrupted` where its process is gone; `finished` without one."""
        if self.status is None:
            return "finished"
        if self.status.state == "running" and not is_locked(self.path):
            return "interrupted"
        return self.status.state

    def history(self) -> pd.DataFrame:
        """One row per epoch, as logged; empty where nothing was trained. Raises RunDamaged."""
        return self.table("history")

    def responses(self) -> pd.DataFrame:
        """One row per layer, epoch and source; empty without BN. Raises RunDamaged."""
        return self._latest("responses")

    def refinement(self) -> pd.DataFrame:
        """One row per shortcut and epoch. Raises RunDamaged.

        More than a run's: `ratio_median`, `ratio_low` (5 %), `ratio_high` (95 %) over images, the
        same of the cosine, `drift`, `iteration`, and `within`.
        """
        return self._latest("refinement")

    def probe_blocks(self) -> pd.DataFrame:
        """As a run's: medians over images, by probe of a watched training. Raises RunDamaged."""
        table = self.refinement()
        if self.status is None or "iteration" not in table:
            return tables.empty("probe_blocks")
        medians = {"ratio": table["ratio_median"], "cosine": table["cosine_median"]}
        return table.assign(**medians)[tables.names("probe_blocks")]

    def probes(self) -> pd.DataFrame:
        """Always empty: `points` has what there is of a foreign module."""
        return tables.empty("probes")

    def points(self) -> pd.DataFrame:
        """One row per normalization that is no BN, or activation, and epoch. Raises RunDamaged."""
        return self._latest("points")

    def _repr_html_(self) -> str:
        facts: dict[str, object] = {
            "id": self.id, "module": self.info.module, "data": self.data_title,
            "parameters": self.info.parameters,
        }  # fmt: skip
        if self.status is not None:
            facts |= {
                "state": self.state, "epochs": self.status.epoch,
                "training error": percent(self.status.train_error),
                "test error": percent(self.status.test_error),
            }  # fmt: skip
        return as_html(self.net, facts)

    def stamp(self) -> Stamp:
        """Changes when a table changes: a key for caches."""
        return stamps(self.path, TABLES)

    def _latest(self, table: str) -> pd.DataFrame:
        return self.table(table).drop_duplicates(_ROWS[table], keep="last", ignore_index=True)

    def table(self, table: str) -> pd.DataFrame:
        """Any table of `analysis.runs.tables`; empty where there is none. Raises RunDamaged."""
        return read_table(self.path / files.table_file(table), table)


Comparable = Run | SavedRecording
"""What can be set beside each other in figures of responses."""
Entry = TypeVar("Entry", Run, Comparable)


def only_readable(runs: Iterable[Entry]) -> tuple[list[Entry], list[DamagedRun]]:
    """Those whose tables are whole, which loading a run does not look at; the others with why."""
    whole, damaged = [], []
    for run in runs:
        try:
            _read_all(run) if isinstance(run, Run) else _all_tables(run)
        except RunError as error:
            damaged.append(DamagedRun(run.path, error.message))
        else:
            whole.append(run)
    return whole, damaged


def _all_tables(run: Comparable) -> bool:
    """True where all can be read. Raises RunDamaged."""
    for table in tables.SCHEMAS:
        run.table(table)
    return True


_read_all = remembered(_all_tables)


def write_recording(
    responses: pd.DataFrame,
    title: str,
    folder: Path | str | None = None,
    *,
    data: str = "",
    module: str = "",
    parameters: int | None = None,
    refinement: pd.DataFrame | None = None,
    points: pd.DataFrame | None = None,
) -> SavedRecording:
    """Put what was measured of a module where Compare finds it.

    Args:
        responses: as `record` and `closed_form` make it; one source or both; empty without BN.
        title: what figures call the module.
        folder: of runs; by default where new runs go.
        data: what its images were, in words.
        module: its class.
        parameters: its trained numbers.
        refinement: as `observe` makes it.
        points: as `observe` makes it.

    Raises:
        RunError: the title is none, or the folder can't be written.
        RunDamaged: not such a table, or nothing in any of them.
    """
    given = {"responses": responses, "refinement": refinement, "points": points}
    filled = {n: tables.conform(t, n) for n, t in given.items() if t is not None}
    if not any(len(table) for table in filled.values()):
        raise RunDamaged("there are no layer responses in this table")
    info = RecordingInfo(title, data, module, parameters)
    path = make_folder(info, folder)
    try:
        for name, table in filled.items():
            if len(table):
                files.append_text(path / files.table_file(name), table.to_csv(index=False))
        return SavedRecording(path, write_info(path, info))
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def make_folder(info: RecordingInfo, folder: Path | str | None) -> Path:
    """A new directory for a recording, named by date and title.

    Raises:
        RunError: the title is none, or the folder can't be written.
    """
    title = info.title.strip()
    if not 0 < len(title) <= MAX_TITLE or not title.isprintable():
        raise RunError(
            "a recording needs a title of 1 to {most} printable characters, not {title!r}",
            most=MAX_TITLE,
            title=title,
        )
    slug = re.sub(r"[^\w.+-]+", "-", title).strip("-.") or "module"
    path = Path(folder or listing.default_folder())
    path /= f"{now()[:10]}_{slug}_{info.origin}_{secrets.token_hex(2)}"
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise files.disk_error(path, error) from error
    return path


def write_info(path: Path, info: RecordingInfo) -> RecordingInfo:
    """Say in the directory what it is: last, or what is written after it grows. Raises RunError."""
    info = replace(info, title=info.title.strip(), created=now())
    files.write_json(path / RECORDING, {"format": FORMAT, **asdict(info)})
    return info


def load_recording(path: Path | str) -> SavedRecording:
    """The recording in a directory.

    Raises:
        RunDamaged: its file is missing, torn, or from a newer version.
    """
    path = Path(path)
    values = files.read_json(path / RECORDING)
    if values.get("format") != FORMAT:
        raise RunDamaged(
            "{file} has format {format!r}; this version of Residual Lens reads {newest}",
            file=RECORDING,
            format=values.get("format"),
            newest=FORMAT,
        )
    check_fields(RecordingInfo, values, RECORDING)
    if not values.get("title"):
        raise RunDamaged("{file} has no title", file=RECORDING)
    known = {field.name for field in fields(RecordingInfo)}
    info = RecordingInfo(**{k: v for k, v in values.items() if k in known})
    if not (path / PROGRESS).exists():
        return SavedRecording(path, info)
    return SavedRecording(path, info, RunStatus.from_json(files.read_json(path / PROGRESS)))


def list_recordings(
    folders: Iterable[Path | str] | None = None,
) -> list[SavedRecording | DamagedRun]:
    """All recordings in folders (by default as `recording_paths`), damaged ones with the reason."""
    return [recording_or_damaged(path) for path in recording_paths(folders)]


def recording_or_damaged(path: Path) -> SavedRecording | DamagedRun:
    """The recording in a directory, or why it is none."""
    try:
        return load_recording(path)
    except RunError as error:
        return DamagedRun(path, error.message)
