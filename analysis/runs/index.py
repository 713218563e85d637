"""What was once computed of a run's files: kept by the process, and beside the runs for the next.

`.index.sqlite` in a runs folder is only a cache and never asked for. It has one row for each run
and question. A row counts as long as the files that it was computed from have the same times and
sizes. Deleted, damaged, written by another version, or on a disk where it can't be locked, it is
made anew or done without. SQLite lets one write at a time; whoever finds it busy for long does
without as well.
"""

from __future__ import annotations

import functools
import json
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from analysis import __version__
from analysis.runs import files, stamps
from analysis.runs.labels import LABELS
from analysis.runs.reader import BUNDLED, Run

FILE = ".index.sqlite"
_VERSION = zlib.crc32(f"1 {__version__}".encode()) & 0x7FFFFFFF
"""Of what is kept: raise the number in front where a question's answer becomes another."""
_WAIT = 1.0
"""Seconds."""
_TOLD = (*stamps.LOADED, files.STATUS, LABELS)


def remembered(of: Callable[[Run], Any]) -> Callable[[Run], Any]:
    """A function of a run's config, weights file and tables whose value JSON holds: computed once.

    What it raises is not kept. The value is shared by all who ask in this process.
    """
    question = f"{of.__module__}.{getattr(of, '__qualname__', of)}"
    told: dict[str, tuple[stamps.Stamp, Any]] = {}

    @functools.wraps(of)
    def answer(run: Run) -> Any:
        path = str(run.path)
        stamp = stamps.stamps(path)
        before = told.get(path)
        if before is None or before[0] != stamp:
            before = told[path] = stamp, _answer(run, question, _words(stamp), of)
        return before[1]

    return answer


def _answer(run: Run, question: str, stamp: str, of: Callable[[Run], Any]) -> Any:
    """From the index beside the run, else computed and kept there."""
    index = _index(run.path.parent)
    if index is None:
        return of(run)
    known = index.get(run.id, question, stamp)
    if known is not None:
        return json.loads(known)
    value = of(run)
    index.put(run.id, question, stamp, json.dumps(value))
    return value


def remembered_lines(
    paths: Iterable[Path], question: str, of: Callable[[Path], tuple[str, bool]]
) -> dict[Path, str]:
    """A line of text about each run of some folders, such as `list` prints: read all at once.

    Args:
        paths: the runs' directories.
        question: names what is told.
        of: (line, whether it may be kept) of what the stamped files of a run hold, its status and
            labels among them.
    """
    by_folder: dict[Path, list[Path]] = {}
    for path in paths:
        by_folder.setdefault(path.parent, []).append(path)
    lines: dict[Path, str] = {}
    for folder, inside in by_folder.items():
        index = _index(folder)
        known = index.get_all(question) if index else {}
        new = []
        for path in inside:
            stamp = _words(stamps.stamps(path, _TOLD))
            before = known.get(path.name)
            if before is not None and before[0] == stamp:
                lines[path] = before[1]
                continue
            lines[path], kept = of(path)
            if kept:
                new.append((path.name, question, stamp, lines[path]))
        if index and new:
            index.put_all(new)
    return lines


def _words(stamp: stamps.Stamp) -> str:
    """As the index holds it."""
    return " ".join([f"{part:x}" for part in stamp])


class _Index:
    """The index of one folder, for one thread."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._connection = self._open()

    def get(self, run: str, question: str, stamp: str) -> str | None:
        """A value as JSON; None where it is not known, or no longer."""
        rows = self._do(
            "SELECT value FROM answers WHERE run = ? AND question = ? AND stamp = ?",
            (run, question, stamp),
        )
        return rows[0][0] if rows else None

    def put(self, run: str, question: str, stamp: str, value: str) -> None:
        """Keep a value."""
        self._do("REPLACE INTO answers VALUES (?, ?, ?, ?)", (run, question, stamp, value))

    def get_all(self, question: str) -> dict[str, tuple[str, str]]:
        """(stamp, value) of each run, by its id."""
        rows = self._do("SELECT run, stamp, value FROM answers WHERE question = ?", (question,))
        return {run: (stamp, value) for run, stamp, value in rows}

    def put_all(self, rows: Sequence[tuple[str, str, str, str]]) -> None:
        """Keep (run, question, stamp, value) of many runs: all or nothing."""
        self._do("BEGIN IMMEDIATE")
        for row in rows:
            self._do("REPLACE INTO answers VALUES (?, ?, ?, ?)", row)
        self._do("COMMIT")

    def _open(self) -> sqlite3.Connection | None:
        for _ in range(2):
            try:
                return self._connect()
            except sqlite3.OperationalError:  # no permission, no room, busy: without
                return None
            except sqlite3.DatabaseError:  # damaged: anew
                with suppress(OSError):
                    self._file.unlink()
        return None

    def _connect(self) -> sqlite3.Connection:
        opened = sqlite3.connect(self._file, timeout=_WAIT, isolation_level=None)
        try:
            opened.execute("PRAGMA synchronous = OFF")
            if opened.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                opened.execute("BEGIN IMMEDIATE")
                opened.execute("DROP TABLE IF EXISTS answers")
                opened.execute(
                    "CREATE TABLE answers (run TEXT, question TEXT, stamp TEXT, value TEXT, "
                    "PRIMARY KEY (run, question)) WITHOUT ROWID"
                )
                opened.execute(f"PRAGMA user_version = {_VERSION}")
                opened.execute("COMMIT")
            opened.execute("SELECT run, question, stamp, value FROM answers LIMIT 1").fetchall()
        except BaseException:
            opened.close()
            raise
        return opened

    def _do(self, statement: str, values: tuple[str, ...] = ()) -> list[tuple]:
        if self._connection is None:
            return []
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            self._connection.close()
            self._connection = None  # without, until this process looks again
            if not isinstance(error, sqlite3.OperationalError):
                with suppress(OSError):
                    self._file.unlink()
                self._connection = self._open()
            return []


_here = threading.local()


def _index(folder: Path) -> _Index | None:
    """This thread's index of a folder; None for the runs that came along."""
    known: dict[Path, tuple[int, _Index]] = _here.__dict__.setdefault("known", {})
    if folder.resolve() == BUNDLED.resolve():
        return None
    file = folder / FILE
    before = known.get(folder)
    if before is None or before[0] != _inode(file):
        index = _Index(folder)
        before = known[folder] = (_inode(file), index)
    return before[1]


def _inode(file: Path) -> int:
    try:
        return file.stat().st_ino
    except OSError:
        return 0
