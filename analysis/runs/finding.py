"""The run or the recording that a person means by a path, an id, a part of one, or a net's name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from analysis.errors import RunDamaged, RunError
from analysis.runs import files
from analysis.runs.loading import list_runs
from analysis.runs.names import run_names
from analysis.runs.reader import DamagedRun, Run, load_run
from analysis.runs.recordings import (
    Comparable,
    SavedRecording,
    list_recordings,
    load_recording,
)

Entry = TypeVar("Entry", Run | DamagedRun, Run | DamagedRun | SavedRecording)


def find_run(name: str, folders: Iterable[Path | str] | None = None) -> Run:
    """The run with this path, id, part of an id, net, or name as pickers show it.

    Raises:
        RunError: none or several fit, or it is a recording; the message lists what there is.
        RunDamaged: the one that fits is damaged.
    """
    if _is_path(name, files.CONFIG):
        return load_run(name)
    places = None if folders is None else list(folders)
    runs = list_runs(places)
    found = _named(name, runs)
    if found is not None:
        return load_run(found.path)
    try:
        recording = find_comparable(name, places)
    except RunError:
        raise _nothing(name, runs) from None
    raise RunError(
        "{recording} is a recording of layer responses: there is no net in it that could be "
        "run or trained, and no history. Compare, `show` and `compare` open it",
        recording=recording.id,
    )


def find_comparable(name: str, folders: Iterable[Path | str] | None = None) -> Comparable:
    """The same among runs and recordings, which have their title for a net's name.

    Raises:
        RunError: none or several fit; the message lists what there is.
        RunDamaged: the one that fits is damaged.
    """
    if _is_path(name, files.CONFIG):
        return load_run(name)
    if _is_path(name, files.RECORDING):
        return load_recording(name)
    places = None if folders is None else list(folders)
    known = [*list_runs(places), *list_recordings(places)]
    found = _named(name, known)
    if found is None:
        raise _nothing(name, known)
    if isinstance(found, DamagedRun):
        raise RunDamaged("{run} is damaged: {reason}", run=found.id, reason=found.reason)
    return load_run(found.path) if isinstance(found, Run) else found


def _named(name: str, known: Sequence[Entry]) -> Entry | None:
    """The only one that fits best; None where none does. Raises RunError where several do."""
    for fits in _fitting(name, known):
        if len(fits) == 1:
            return fits[0]
        if fits:
            listed = "\n  ".join(entry.id for entry in fits)
            raise RunError(
                "{name!r} fits several runs; give the whole id:\n  {listed}",
                name=name,
                listed=listed,
            )
    return None


def _fitting(name: str, known: Sequence[Entry]) -> Iterator[list[Entry]]:
    """What fits, the best way first; of thousands of runs only what is asked for is computed."""
    yield [entry for entry in known if entry.id == name]
    whole = [entry for entry in known if not isinstance(entry, DamagedRun)]
    yield [entry for entry in whole if entry.net == name]
    called = run_names([run for run in known if isinstance(run, Run | SavedRecording)])
    yield [entry for entry in whole if called[entry.id] == name]
    yield [entry for entry in known if name in entry.id]


def _is_path(name: str, file: str) -> bool:
    """Whether a name is the path of a directory with this file in it."""
    return files.exists(Path(name) / file)


_LISTED = 8
"""Ids that are listed where none fits."""


def _nothing(name: str, known: Sequence[Entry]) -> RunError:
    """Lists the ids that are most like what was typed, not the hundreds that there may be."""
    if not known:
        return RunError(
            "no run {name!r}, and no other yet: `python -m analysis train` makes one", name=name
        )
    ids = [entry.id for entry in known]
    if len(ids) <= _LISTED:
        listed = "\n  ".join(ids)
        return RunError("no run {name!r}. There are:\n  {listed}", name=name, listed=listed)
    shown = get_close_matches(name, ids, _LISTED, cutoff=0.3) or ids[-_LISTED:]
    return RunError(
        "no run {name!r}. There are:\n  {listed}\nand {more} others: `python -m analysis list` "
        "shows them",
        name=name, listed="\n  ".join(shown), more=len(ids) - len(shown),
    )  # fmt: skip
