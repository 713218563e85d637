"""What people say of a run: a name, tags, a note; and caveats that came with it.

They are in `labels.json` in the run's folder, apart from what the training wrote, so that neither
can spoil the other. A bundled run is read-only: what the user says of it is kept in the user's own
folder, as `.labels/RUN.json`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from analysis.errors import RunDamaged, RunError
from analysis.runs.files import LABELS, disk_error, read_json, write_json
from analysis.runs.listing import labels_folder
from analysis.runs.reader import Run

FORMAT = 1


@dataclass(frozen=True)
class Labels:
    """What is said of one run."""

    name: str = ""
    """What figures and tables call it in place of its net."""
    tags: tuple[str, ...] = ()
    note: str = ""
    caveats: tuple[str, ...] = ()
    """What speaks against reading its numbers plainly, a sentence each; shown wherever it is."""

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The labels that a file holds. Raises RunDamaged, which names the field."""
        name, note = values.get("name", ""), values.get("note", "")
        lists = {field: values.get(field, []) for field in ("tags", "caveats")}
        for field, value in (("name", name), ("note", note)):
            if not isinstance(value, str):
                raise RunDamaged("labels.json: {field} is not a text", field=field)
        for field, value in lists.items():
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise RunDamaged("labels.json: {field} is not a list of texts", field=field)
        return cls(name, tuple(lists["tags"]), note, tuple(lists["caveats"]))


def labels_of(run: Run) -> Labels:
    """What is said of a run; nothing, where a file is missing or is none.

    A torn file of labels never keeps a run from being opened.
    """
    own = _read(f"{run.path}{os.sep}{LABELS}")  # of thousands: a Path of each takes as long again
    if not run.bundled:
        return own
    users = _read(_users_place(run))
    return replace(users, caveats=(*own.caveats, *users.caveats))


def change_labels(run: Run, **changes: Any) -> Labels:
    """Write some of a run's labels anew; the others stay.

    Args:
        run: any; of a bundled one the labels go to the user's folder.
        changes: fields of Labels.

    Raises:
        RunError: they can't be written.
    """
    place = _users_place(run) if run.bundled else run.path / LABELS
    changed = replace(_read(place), **changes)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(place, error) from error
    write_json(place, {"format": FORMAT, **asdict(changed)})
    return changed


def change_tags(run: Run, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Labels:
    """Add tags to a run and take others off. Raises RunError."""
    gone = set(remove)
    wanted = [*labels_of(run).tags, *(tag.strip() for tag in add)]
    kept = dict.fromkeys(tag for tag in wanted if tag and tag not in gone)
    return change_labels(run, tags=tuple(kept))


def _users_place(run: Run) -> Path:
    return labels_folder() / f"{run.id}.json"


def _read(place: Path | str) -> Labels:
    if not os.path.lexists(place):  # as of most: quicker than to be told so by an error
        return _NONE
    try:
        return Labels.from_json(read_json(place))
    except RunError:  # missing or torn
        return _NONE


_NONE = Labels()
