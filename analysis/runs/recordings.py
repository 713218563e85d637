"""Layer responses of a module that is no net of ours, on disk: `recording.json`, `responses.csv`.

A recording has no net that could be built again, no weights and no history, so it is no run: only
what compares responses (Compare, `show`, `compare`) knows of it. It lives in the runs folder, in a
directory that says so by the name of its file. Knows no torch.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

import pandas as pd

from analysis import tables
from analysis.errors import RunDamaged, RunError
from analysis.runs import files, reader
from analysis.runs.checks import read_table
from analysis.runs.fields import Count, check_fields
from analysis.runs.format import now
from analysis.runs.index import remembered
from analysis.runs.reader import DamagedRun, Run

RECORDING = "recording.json"
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


@dataclass(frozen=True)
class SavedRecording:
    """A recording on disk; named and drawn like a `Run` where responses are compared."""

    path: Path
    info: RecordingInfo

    recipe = "recording"
    has_no_history = True
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
        """Images over which its responses were measured; 0: in closed form only."""
        return int(self.responses()["n_images"].max()) if len(self.responses()) else 0

    def history(self) -> pd.DataFrame:
        """Always empty: nothing was trained here."""
        return tables.empty("history")

    def responses(self) -> pd.DataFrame:
        """One row per layer and source. Raises RunDamaged."""
        return self.table("responses")

    def table(self, table: str) -> pd.DataFrame:
        """Any table of `analysis.tables`; empty where there is none. Raises RunDamaged."""
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
) -> SavedRecording:
    """Put a `responses` table where Compare finds it.

    Args:
        responses: as `record` and `closed_form` make it; one source or both.
        title: what figures call the module.
        folder: of runs; by default where new runs go.
        data: what its images were, in words.
        module: its class.
        parameters: its trained numbers.

    Raises:
        RunError: the title is none, or the folder can't be written.
        RunDamaged: not such a table.
    """
    title = title.strip()
    if not 0 < len(title) <= MAX_TITLE or not title.isprintable():
        raise RunError(
            "a recording needs a title of 1 to {most} printable characters, not {title!r}",
            most=MAX_TITLE,
            title=title,
        )
    table = tables.conform(responses, "responses")[tables.names("responses")]
    if table.empty:
        raise RunDamaged("there are no layer responses in this table")
    info = RecordingInfo(title, data, module, parameters, now())
    slug = re.sub(r"[^\w.+-]+", "-", title).strip("-.") or "module"
    name = f"{info.created[:10]}_{slug}_recording_{secrets.token_hex(2)}"
    path = Path(folder or reader.default_folder()) / name
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise files.disk_error(path, error) from error
    try:
        files.append_text(path / files.table_file("responses"), table.to_csv(index=False))
        files.write_json(path / RECORDING, {"format": FORMAT, **asdict(info)})
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return SavedRecording(path, info)


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
    return SavedRecording(path, RecordingInfo(**{k: v for k, v in values.items() if k in known}))


def recording_paths(folders: Iterable[Path | str] | None = None) -> list[Path]:
    """The directories with a recording, by name; where `run_paths` looks."""
    found: list[Path] = []
    for folder in folders if folders is not None else (reader.BUNDLED, reader.default_folder()):
        try:
            found += [path for path in sorted(Path(folder).iterdir()) if _is_recording(path)]
        except OSError:
            continue  # `run_paths` tells it
    return list(dict.fromkeys(found))


def _is_recording(path: Path) -> bool:
    """Not so of a run's directory that has a recording's file in it: that is a run."""
    names = (files.CONFIG, files.STATUS, files.MODEL)
    is_run = any(files.exists(path / name) for name in names)
    return not path.name.startswith(".") and files.exists(path / RECORDING) and not is_run


def list_recordings(
    folders: Iterable[Path | str] | None = None,
) -> list[SavedRecording | DamagedRun]:
    """All recordings in the folders, damaged ones with their reason."""
    return [recording_or_damaged(path) for path in recording_paths(folders)]


def recording_or_damaged(path: Path) -> SavedRecording | DamagedRun:
    """The recording in a directory, or why it is none."""
    try:
        return load_recording(path)
    except RunError as error:
        return DamagedRun(path, error.message)
