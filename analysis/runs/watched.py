"""Writing a recording that grows: of a training loop that is not ours, or all of a log at once.

Every file is whole at every moment, so that a kill loses nothing that was logged; the process that
writes holds the lock, as a run's trainer does, so that one that died shows as interrupted.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.runs import files, tables
from analysis.runs.format import RunStatus
from analysis.runs.liveness import Hold, hold
from analysis.runs.recordings import (
    RecordingInfo,
    make_folder,
    write_info,
)

if TYPE_CHECKING:
    import pandas as pd


class RecordingWriter:
    """The one process that writes a growing recording."""

    def __init__(self, path: Path, status: RunStatus, lock: Hold) -> None:
        self.path = path
        self.status = status
        self._lock = lock
        self._columns: dict[str, list[str]] = {}
        self._epochs: dict[int, dict[str, float]] = {}

    def log(self, epoch: int, values: dict[str, float]) -> None:
        """Add a row to the history, or values to the row of an epoch that is there.

        Raises:
            RunError: no space, no permission.
        """
        new = epoch > max(self._epochs, default=-1)
        self._epochs[epoch] = {**self._epochs.get(epoch, {}), **values}
        if new:
            self.append("history", self._history([epoch]))
            return
        table = self._history(sorted(self._epochs))
        path = self.path / files.table_file("history")
        files.write_whole(path, lambda temporary: table.to_csv(temporary, index=False))

    def _history(self, epochs: list[int]) -> pd.DataFrame:
        import pandas as pd

        rows = [{"epoch": epoch, **self._epochs[epoch]} for epoch in epochs]
        return pd.DataFrame(rows).reindex(columns=tables.names("history"))

    def append(self, table: str, rows: pd.DataFrame) -> None:
        """Add rows to a table of `analysis.runs.tables`, with the columns that its first rows had.

        Raises:
            RunError: no space, no permission.
        """
        if not len(rows):
            return
        rows = tables.conform(rows, table)
        header = table not in self._columns
        columns = self._columns.setdefault(table, list(rows.columns))
        text = rows.reindex(columns=columns).to_csv(index=False, header=header)
        files.append_text(self.path / files.table_file(table), text)

    def set_status(self, durable: bool = True, **changes: Any) -> None:
        """Replace the status by a copy with changes and a fresh heartbeat. Raises RunError."""
        self.status = self.status.with_(**changes)
        files.write_json(self.path / files.PROGRESS, self.status.to_json(), durable)

    def close(self) -> None:
        """Let go of it."""
        self._lock.release()


def start_recording(
    info: RecordingInfo, status: RunStatus, folder: Path | str | None = None
) -> RecordingWriter:
    """Make a recording that grows; close the writer when it is complete.

    Raises:
        RunError: the title is none, or the folder can't be written.
    """
    path = make_folder(info, folder)
    try:
        writer = RecordingWriter(path, status, hold(path))
        writer.set_status()
        write_info(path, info)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return writer


@contextmanager  # ty: ignore[deprecated]
def whole_recording(
    info: RecordingInfo, status: RunStatus, folder: Path | str | None = None
) -> Iterator[RecordingWriter]:
    """The same, closed after the block, and gone if the block fails."""
    writer = start_recording(info, status, folder)
    try:
        yield writer
    except BaseException:
        shutil.rmtree(writer.path, ignore_errors=True)
        raise
    finally:
        writer.close()
