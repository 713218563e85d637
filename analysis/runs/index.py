"""What was once computed of a run's files: kept by the process, and beside the runs for the next.

`.index.sqlite` in a runs folder is only a cache and never asked for. It has one row for each run
and question, in the user's folder also of the runs that came along. A row counts as long as the
files that it was computed from have the same times and sizes. Deleted, damaged, written by another
version, or on a disk where it can't be locked, it is made anew or done without. SQLite lets one
write at a time; whoever finds it busy for long does without as well.
"""

from __future__ import annotations

import functools
import gc
import os
import signal
import sqlite3
import threading
import zlib
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from analysis import __version__
from analysis.runs import files, listing, stamps

FILE = ".index.sqlite"
_VERSION = zlib.crc32(f"4 {__version__}".encode()) & 0x7FFFFFFF
"""Of what is kept: raise the number in front where the table or an answer becomes another."""
_WAIT = 1.0
"""Seconds."""
_THOUSANDS = 2000
"""Runs, from which it is quicker to start other processes first, which takes half a second."""
_TOLD = tuple(dict.fromkeys((*listing.MAKE_A_RUN, *stamps.CHECKED, files.LABELS)))
"""What a line about a run depends on."""


def collect_seldom() -> None:
    """Have Python look for garbage among young objects less often in this process.

    For what loads thousands of runs: they are a million objects, and next to none is garbage.
    """
    gc.set_threshold(_SELDOM)


_SELDOM = 50_000
"""Objects made and not freed; by default a few hundred or thousand."""


@contextmanager
def one_look() -> Generator[None]:
    """Within it files of runs are looked at once, until this process writes to some.

    Of a thread: a command, or one run of a page.
    """
    before = _here.__dict__.get("looked")
    _here.looked = _Looked() if before is None else before
    try:
        yield
    finally:
        _here.looked = before


@dataclass
class _Looked:
    """What the looks within `one_look` have found."""

    found: dict[Hashable, Any] = field(default_factory=dict)
    written: int = field(default_factory=files.written)


def within_look(key: Hashable, look: Callable[[], Any]) -> Any:
    """What a look at files of runs finds; within `one_look` what it found the first time.

    Args:
        key: of what is looked at.
        look: at it.
    """
    looked: _Looked | None = _here.__dict__.get("looked")
    if looked is None:
        return look()
    if looked.written != files.written():
        looked.found, looked.written = {}, files.written()
    if key not in looked.found:
        looked.found[key] = look()
    return looked.found[key]


def remembered_lines(
    folders: Iterable[Path], question: str, of: Callable[[Path], tuple[str, bool]]
) -> dict[str, str]:
    """A line of text about each run in folders, such as `list` prints, by the run's path.

    Args:
        folders: of runs.
        question: names what is told.
        of: (line, whether it may be kept) of what the stamped files of a run hold, its status and
            labels among them. A function of a module, since other processes may call it.
    """
    lines: dict[str, tuple[str, str]] = {}
    for folder in folders:
        index = index_of(folder)
        known = index.get_all(question)
        users = _users_labels(folder)
        new: dict[str, str] = {}
        for path, place in listing.real_entries(folder):
            before = known.get(_name(path))
            if before is not None and before[0] == words((*stamps.stamps(path, _TOLD), *users)):
                lines[place] = path, before[1]
            else:
                new[place] = path
                lines[place] = path, ""  # its place among the others
        kept = []
        told = _tell_all(functools.partial(_tell, of, folder, users), list(new.values()))
        for (place, path), answer in zip(new.items(), told, strict=True):
            if answer is None:
                del lines[place]
                continue
            lines[place] = path, answer.line
            if answer.may_be_kept:
                kept.append((_name(path), question, answer.stamp, answer.line))
        if kept:
            index.put_all(kept)
    return dict(lines.values())


class _Told(NamedTuple):
    stamp: str
    line: str
    may_be_kept: bool


def _users_labels(folder: Path) -> stamps.Stamp:
    """Changes with the user's labels of bundled runs, which lie elsewhere; else empty."""
    return stamps.stamp(listing.labels_folder()) if is_bundled(folder) else ()


def is_bundled(folder: Path) -> bool:
    """Whether the runs in a folder came with Residual Lens."""
    return listing.real_path(str(folder)) == listing.bundled_folder()


def _tell(
    of: Callable[[Path], tuple[str, bool]], folder: Path, users: stamps.Stamp, path: str
) -> _Told | None:
    """What is told of an entry of a folder; None if it is no run."""
    seen = stamps.stamps(path, _TOLD)  # first: what is written meanwhile is read again
    of_a_run = seen[: len(listing.MAKE_A_RUN) * stamps.NUMBERS]
    if any(of_a_run) or listing.is_run(path, folder):
        return _Told(words((*seen, *users)), *of(Path(path)))
    return None


def _tell_all(tell: Callable[[str], _Told | None], paths: Sequence[str]) -> list[_Told | None]:
    """What is told of each entry; of thousands by a process for each processor."""
    processes = min(os.cpu_count() or 1, 8)
    if len(paths) >= _THOUSANDS and processes > 1:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        pool = ProcessPoolExecutor(
            processes,
            get_context("spawn"),
            # Ctrl+C reaches the others as well: it is for this one to say that it was interrupted.
            initializer=signal.signal,
            initargs=(signal.SIGINT, signal.SIG_IGN),
        )
        try:
            with pool:
                return list(pool.map(tell, paths, chunksize=100))
        except (OSError, RuntimeError):  # they can't be started, or were killed: alone, then
            pass
    return list(map(tell, paths))


def _name(path: str) -> str:
    return path.rpartition(os.sep)[2]


def words(stamp: stamps.Stamp) -> str:
    """As the index holds it: of numbers the hash is the same in every process."""
    return f"{hash(stamp):x}"


class _Index:
    """The index of one folder, for one thread."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._connection = self._open()
        self._known: dict[str, dict[str, tuple[str, str]]] = {}
        """(stamp, value) by question and run, as they were when the question was first asked."""

    @property
    def is_kept(self) -> bool:
        """Whether there is a file; else nothing is known and nothing kept."""
        return self._connection is not None

    def get(self, run: str, question: str, stamp: str) -> str | None:
        """A value as JSON; None where it is not known, or no longer."""
        if question not in self._known:
            self._known[question] = self.get_all(question)
        kept, value = self._known[question].get(run, ("", ""))
        return value if kept == stamp else None

    def get_all(self, question: str) -> dict[str, tuple[str, str]]:
        """(stamp, value) of each run, by its id."""
        rows = self._do("SELECT run, stamp, value FROM answers WHERE question = ?", (question,))
        return {run: (stamp, value) for run, stamp, value in rows}

    def put_all(self, rows: Sequence[tuple[str, str, str, str]]) -> None:
        """Keep (run, question, stamp, value) of many runs: all or nothing."""
        for run, question, stamp, value in rows:
            if question in self._known:
                self._known[question][run] = stamp, value
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
                # By question first: what is asked of all runs lies together.
                opened.execute(
                    "CREATE TABLE answers (run TEXT, question TEXT, stamp TEXT, value TEXT, "
                    "PRIMARY KEY (question, run)) WITHOUT ROWID"
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


def index_of(folder: Path | str) -> _Index:
    """This thread's index of a folder; of the runs that came along, that of the user's."""
    return within_look(("index", str(folder)), lambda: _opened(Path(folder)))


def _opened(folder: Path) -> _Index:
    known: dict[Path, tuple[int, _Index]] = _here.__dict__.setdefault("known", {})
    if is_bundled(folder):  # which is read-only
        folder = listing.default_folder()
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
