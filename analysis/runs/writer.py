"""Making a run: everything is whole on disk before the status says so.

The order is weights, tables, status. After a kill at any point the status claims no more than
what is there; `open_writer` cuts the tables back to the epoch from which training resumes.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis import __version__
from analysis.errors import RunError
from analysis.runs import files, tables
from analysis.runs.checks import read_table
from analysis.runs.format import RunConfig, RunStatus, new_run_id, now
from analysis.runs.liveness import Hold, hold
from analysis.runs.reader import Run, load_run

if TYPE_CHECKING:
    import pandas as pd


class RunWriter:
    """The one process that writes a run; a context manager that holds the run's lock and lease.

    Every write raises RunInUse where another machine has taken the run over meanwhile.
    """

    def __init__(self, path: Path, config: RunConfig, status: RunStatus, held: Hold) -> None:
        self.path = path
        self.config = config
        self.status = status
        self._held = held

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the run."""
        self._held.release()

    def append(self, table: str, rows: pd.DataFrame | list[Mapping[str, Any]]) -> None:
        """Add rows to a table of `analysis.runs.tables`, begun by this version or an older one.

        Measured rows get what they were measured over, unless they say so themselves: the run's
        own images.

        Raises:
            RunError: no space, no permission.
            RunDamaged: the rows are not of that table.
        """
        import pandas as pd

        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
        frame = self._told(tables.conform(frame.reindex(columns=tables.names(table)), table))
        path = self.path / files.table_file(table)
        begun = _columns(path) == tables.names(table)
        if not begun and path.exists() and path.stat().st_size:
            self.replace_table(table, pd.concat([read_table(path, table), frame]))
            return
        text = frame.to_csv(index=False, header=not begun, lineterminator="\n")
        self._held.check()
        files.append_text(path, text)

    def _told(self, frame: pd.DataFrame) -> pd.DataFrame:
        """With what they were measured over in the rows that don't say it."""
        if "version" in frame:
            unsaid = (frame["n_images"] > 0) & (frame["version"] == "")
            for name, value in measured_over(self.config).items():
                frame[name] = frame[name].mask(unsaid, value)
        return frame

    def replace_table(self, table: str, frame: pd.DataFrame) -> None:
        """Put other rows in the place of a table's, whole or not at all; raises as `append`."""
        path = self.path / files.table_file(table)
        files.write_whole(
            path,
            lambda temporary: frame.to_csv(temporary, index=False, lineterminator="\n"),
            check=self._held.check,
        )

    def cut_tables(self, epoch: int, iteration: int | None = None) -> None:
        """Drop what a kill may have left: rows after an epoch, measurements of the end.

        Args:
            epoch: complete epochs from which the training resumes.
            iteration: updates done by then; later rows of the same epoch go too.
        """
        for table, schema in tables.SCHEMAS.items():
            path = self.path / files.table_file(table)
            if not path.exists():
                continue
            frame = read_table(path, table)
            dropped = frame["epoch"] > epoch
            if iteration is not None and "iteration" in frame:
                dropped |= frame["iteration"] > iteration
            if schema.at_the_start and epoch == 0:
                dropped |= frame["epoch"] == 0
            if schema.at_the_end:
                dropped |= schema.at_the_end(frame)
            self.replace_table(table, frame[~dropped])

    def save_tensors(self, name: str, tensors: dict[str, Any], metadata: dict[str, str]) -> None:
        """Write a dictionary of torch tensors as a safetensors file, whole or not at all."""
        files.write_tensors(self.path / name, tensors, metadata, self._held.check)

    def keep_weights(self, epoch: int) -> None:
        """Keep the weights as they are now beside those of other epochs; raises as `append`."""
        kept = self.path / files.kept_weights(epoch)
        try:
            kept.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise files.disk_error(kept, error) from error
        files.write_whole(
            kept,
            lambda temporary: shutil.copyfile(self.path / files.MODEL, temporary),
            check=self._held.check,
        )

    def set_status(self, durable: bool = True, **changes: Any) -> None:
        """Replace status.json by a copy with changes and a fresh heartbeat."""
        self.status = self.status.with_(**changes)
        files.write_json(self.path / files.STATUS, self.status.to_json(), durable, self._held.check)

    def complete_config(self, config: RunConfig) -> None:
        """Fill in what only the start of training can know: the images, the resolved compute."""
        self.config = config
        files.write_json(self.path / files.CONFIG, config.to_json(), check=self._held.check)

    def log(self, line: str) -> None:
        """Add a line with the time to train.log. Raises RunError on a full disk."""
        self._held.check()
        try:
            with open(self.path / files.LOG, "a", encoding="utf-8") as file:
                file.write(f"{now()} {line}\n")
        except OSError as error:
            raise files.disk_error(self.path / files.LOG, error) from error

    def cancel_asked(self) -> bool:
        """Whether somebody asked this run to stop."""
        return (self.path / files.CANCEL).exists()

    def clear_cancel(self) -> None:
        """Forget that somebody asked."""
        self._held.check()
        files.remove(self.path / files.CANCEL)

    def remove(self, name: str) -> None:
        """Delete a file of the run that is needed no more."""
        self._held.check()
        files.remove(self.path / name)


def measured_over(config: RunConfig, fingerprint: str | None = None) -> dict[str, str]:
    """The columns `tables.MEASURED_OVER` of what is measured now with a run's own normalization.

    Args:
        config: of the run.
        fingerprint: of the data set; the run's own by default.
    """
    own = config.images.fingerprint if config.images else ""
    return {
        "fingerprint": own if fingerprint is None else fingerprint,
        "normalization": str(config.normalization.get("name") or "own"),
        "version": __version__,
    }


def _columns(path: Path) -> list[str]:
    """The header of a table's file; nothing where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().rstrip("\n").split(",")
    except (OSError, ValueError):
        return []


def create_run(folder: Path | str, config: RunConfig, run_id: str | None = None) -> Path:
    """Make a run's directory with its config and a `queued` status.

    Raises:
        RunError: the folder can't be written, or the name is taken.
    """
    name = run_id or new_run_id(config)
    if not is_portable(name):
        raise RunError(
            "{name!r} is not a name for a run: use letters, digits and . _ + -, no dot at the "
            "beginning or the end, no - at the beginning, and no name that Windows keeps for a "
            "device, such as CON",
            name=name,
        )
    path = Path(folder) / name
    if files.exists(path.parent) and not files.is_folder(path.parent):
        raise RunError("{where} is a file; --runs takes a folder", where=path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir()
    except FileExistsError:
        raise RunError(
            "{path} exists already; choose another name or delete it", path=path
        ) from None
    except OSError as error:
        raise files.disk_error(path, error) from error
    epochs = config.recipe.epochs if config.recipe else 0
    status = RunStatus("queued", epochs_total=epochs or 0).with_()
    try:
        # The longest name that will be written here: a path too long is said now, not later.
        files.write_whole(path / f"{files.RESUME}.{'-' * 8}", Path.touch, durable=False)
        (path / f"{files.RESUME}.{'-' * 8}").unlink()
        files.write_json(path / files.CONFIG, config.to_json())
        files.write_json(path / files.STATUS, status.to_json())
    except BaseException as error:  # nothing half-made stays
        shutil.rmtree(path, ignore_errors=True)
        if isinstance(error.__cause__, OSError):  # of the run, which there is not
            raise files.disk_error(path, error.__cause__) from error
        raise
    return path


_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\s]')


def is_portable(name: str) -> bool:
    """Whether a run's directory can have this name on Linux, macOS and Windows alike.

    So no separator, colon, wildcard or blank, no dot at either end, no hyphen that would make an
    option of it, none of Windows' devices, and
    no character that can't be printed or encoded.
    """
    return (
        name.isprintable()
        and name == name.strip(".").lstrip("-")
        and not _NOT_IN_NAMES.search(name)
        and not _DEVICES.fullmatch(name)
    )


def open_writer(path: Path) -> RunWriter:
    """Take a run for writing.

    Raises:
        RunInUse: another process has it.
        RunDamaged: it can't be read.
    """
    lock = hold(load_run(path).path)
    try:
        run = load_run(path)  # again: until now another process may have written
        files.sweep(path)
    except BaseException:
        lock.release()
        raise
    return RunWriter(run.path, run.config, run.status, lock)


def delete_run(run: Run, folder: Path | str) -> None:
    """Delete a run inside `folder`.

    Raises:
        RunInUse: a process is at work on it.
        RunError: it is not directly inside the folder, or came with Residual Lens.
    """
    path = run.path.resolve()
    if run.bundled or path.parent != Path(folder).resolve() or run.path.is_symlink():
        raise RunError(
            "{place} is not in the runs folder {folder}; only those are deleted",
            place=run.path,
            folder=folder,
        )
    hold(path).release()
    files.note_written()
    try:
        shutil.rmtree(path)
    except OSError as error:
        raise files.disk_error(path, error) from error
