"""Curves from elsewhere: a training log of another program as a recording with a history.

CSV (Lightning's CSVLogger, any table), JSON lines, Hugging Face's trainer_state.json, and
TensorBoard's event files. Which column is which is read off its name, or said; errors become
percent, and rows within an epoch one row. Knows no torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.errors import ImportRefused, RunDamaged
from analysis.runs import SavedRecording, load_recording, tables
from analysis.runs.files import check_regular
from analysis.runs.format import RunStatus, now
from analysis.runs.recordings import MAX_TITLE, RecordingInfo
from analysis.runs.watched import whole_recording
from analysis.text import Message

ERRORS = ("train_error", "train_error_clean", "val_error", "test_error")
_WORDS = re.compile(r"[a-z]+[0-9]*")
_PARTS = {"train": "train", "training": "train", "tr": "train", "test": "test"} | dict.fromkeys(
    ("val", "valid", "validation", "eval", "evaluation", "dev"), "val"
)
_MEASURES = {"loss": "loss", "ce": "loss"} | {
    **dict.fromkeys(("error", "err"), "error"),
    **dict.fromkeys(("acc", "acc1", "accuracy", "top1", "prec1"), "accuracy"),
}


@dataclass(frozen=True)
class Log:
    """A history, and in words how the file was read."""

    history: pd.DataFrame
    """A row an epoch, columns of the table `history`."""
    notes: list[Message] = field(default_factory=list)


def import_log(
    file: Path | str,
    name: str = "",
    data: str = "",
    columns: Mapping[str, str] | None = None,
    percent: bool = False,
    folder: Path | str | None = None,
) -> tuple[SavedRecording, list[Message]]:
    """Make a recording with the curves of a log; Compare draws it beside the runs.

    Args:
        file: .csv, .tsv, .jsonl, .json, or TensorBoard's event file or its folder.
        name: what figures call it; by default the file's.
        data: what was trained on, in words.
        columns: our column by theirs: `{"train_error": "err"}`; `1-acc` for an accuracy.
        percent: that errors and accuracies are percent, also where all are at most 1.
        folder: of runs; by default where new runs go.

    Raises:
        ImportRefused: no log that can be read, or no column in it that is known.
        RunError: the folder can't be written.
    """
    file = Path(file)
    log = read_log(file, columns, percent)
    title = name or (file.parent.name if file.stem in ("metrics", "log") else file.stem) or "log"
    info = RecordingInfo(title[:MAX_TITLE], data, origin="log")
    last = log.history.iloc[-1]
    train, test = (
        None if pd.isna(last[name]) else float(last[name]) for name in ("train_error", "test_error")
    )
    epoch, iteration = int(last["epoch"]), int(last["iteration"])
    status = RunStatus(
        "finished", epoch=epoch, epochs_total=epoch, iteration=iteration, ended=now(),
        train_error=train, test_error=test,
    )  # fmt: skip
    with whole_recording(info, status, folder) as writer:
        writer.append("history", log.history)
    return load_recording(writer.path), log.notes


def read_log(
    file: Path | str, columns: Mapping[str, str] | None = None, percent: bool = False
) -> Log:
    """The history in a log; arguments and errors as of `import_log`."""
    file = Path(file)
    table = _read(file)
    notes: list[Message] = []
    taken = _columns(table, dict(columns or {}), file, notes)
    found = pd.DataFrame(
        {ours: _numbers(table, ours, theirs, file) for ours, theirs in taken.items()}
    )
    for ours, theirs in taken.items():
        if ours in ERRORS:
            found[ours] = _as_percent(found[ours], theirs, percent, notes)
    measured = found.drop(columns=["epoch", "iteration"], errors="ignore").notna().any(axis=1)
    history = _by_epoch(found[measured], notes)
    if history.empty:
        raise ImportRefused("{file} has no numbers in {columns}", file=file.name,
                            columns=", ".join(taken.values()))  # fmt: skip
    return Log(history, notes)


def _read(file: Path) -> pd.DataFrame:
    try:
        if file.is_dir() or "tfevents" in file.name:
            return _read_events(file)
        check_regular(file)
        if file.suffix in (".jsonl", ".ndjson", ".json"):
            return _read_json(file)
        table = pd.read_csv(file, sep="\t" if file.suffix == ".tsv" else ",")
        if not isinstance(table.index, pd.RangeIndex):  # its first cells would be no column's
            raise ValueError("it has rows that are longer than its header")
        return table
    except ImportRefused:
        raise
    except (OSError, ValueError, OverflowError, RecursionError, RunDamaged) as error:
        raise ImportRefused("{file} can't be read as a log: {error}", file=file.name,
                            error=error) from error  # fmt: skip


def _read_json(file: Path) -> pd.DataFrame:
    """A JSON object a line, or one object with a list of them (Hugging Face's trainer state)."""
    text = file.read_text(encoding="utf-8")
    try:
        whole = json.loads(text)
        rows = whole.get("log_history") if isinstance(whole, dict) else whole
    except ValueError:
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    if rows is None:
        rows = [whole]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("there is no JSON object on each line")
    return pd.DataFrame(rows)


def _read_events(file: Path) -> pd.DataFrame:
    """Scalars of TensorBoard, a row a step and a column a tag."""
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.util.tensor_util import make_ndarray
    except ImportError as error:
        raise ImportRefused(
            "reading TensorBoard's files needs its reader: pip install 'residual-lens[tensorboard]'"
        ) from error
    events = EventAccumulator(str(file), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    rows: dict[int, dict[str, float]] = {}
    for tag in events.Tags()["scalars"]:
        for event in events.Scalars(tag):
            rows.setdefault(event.step, {})[tag] = event.value
    for tag in events.Tags()["tensors"]:  # as TensorFlow 2 writes scalars
        for event in events.Tensors(tag):
            value = make_ndarray(event.tensor_proto)
            if value.ndim == 0 and value.dtype.kind == "f":
                rows.setdefault(event.step, {})[tag] = float(value)
    if not rows:
        raise ValueError("there are no scalars in it")
    return pd.DataFrame([{"step": step, **rows[step]} for step in sorted(rows)])


def _columns(
    table: pd.DataFrame, given: dict[str, str], file: Path, notes: list[Message]
) -> dict[str, str]:
    """Their column by ours: as given, and by name where not."""
    known = tables.names("history")
    for ours in given:
        if ours not in known:
            raise ImportRefused("--column {ours}=...: {ours} is none of {known}", ours=ours,
                                known=", ".join(known))  # fmt: skip
    taken = dict(given)
    guesses = {name: _guess(str(name)) for name in table.columns}
    for name, (ours, rank) in sorted(guesses.items(), key=lambda item: item[1][1]):
        if ours and ours not in taken and rank < _NEVER:
            taken[ours] = str(name)
    if "val_error" in taken and "test_error" not in taken:
        taken["test_error"] = taken.pop("val_error")
        note = Message("{theirs} is drawn as the test error", theirs=taken["test_error"])
        notes.append(note)
    if not set(taken) - {"epoch", "iteration", "lr"}:
        raise ImportRefused(
            "{file}: which column is an error or a loss? It has {columns}. Say it: --column "
            "train_error=NAME, or test_error=1-NAME of an accuracy",
            file=file.name,
            columns=", ".join(map(str, table.columns)),
        )
    return taken


_NEVER = 9


def _guess(name: str) -> tuple[str, int]:
    """Our column for a name, and how well it fits: 0 is best."""
    words = _WORDS.findall(name.lower())
    if name.lower() in tables.names("history"):
        return name.lower(), 0
    if words == ["epoch"] or words in (["step"], ["global", "step"], ["iteration"]):
        return ("epoch", 0) if words == ["epoch"] else ("iteration", 1)
    if words in (["lr"], ["learning", "rate"]) or words[:1] == ["lr"]:
        return "lr", 1
    part = next((_PARTS[word] for word in words if word in _PARTS), "train")
    measure = next((_MEASURES[word] for word in words if word in _MEASURES), None)
    if measure is None or "top5" in words:
        return "", _NEVER
    rank = 1 + len(words)
    if measure == "loss":
        return ("test_loss" if part == "val" else f"{part}_loss"), rank
    return f"{part}_error", rank


def _numbers(table: pd.DataFrame, ours: str, theirs: str, file: Path) -> pd.Series:
    name = re.sub(r"^100?\s*-\s*|^1\s*-\s*", "", theirs)
    for column in (theirs, name):
        if column in table.columns:
            try:
                numbers = pd.to_numeric(table[column], errors="coerce").astype("float64")
            except OverflowError as error:
                raise ImportRefused("{file} can't be read as a log: {error}", file=file.name,
                                    error=error) from error  # fmt: skip
            if ours in ("epoch", "iteration") and (numbers.abs() >= 1e15).any():
                raise ImportRefused("{file} can't be read as a log: {error}", file=file.name,
                                    error=f"{theirs} is {numbers.abs().max()}")  # fmt: skip
            return numbers
    raise ImportRefused("{file} has no column {name}. It has {columns}", file=file.name, name=name,
                        columns=", ".join(map(str, table.columns)))  # fmt: skip


def _as_percent(values: pd.Series, theirs: str, percent: bool, notes: list[Message]) -> pd.Series:
    """Errors in percent, of errors or accuracies, shares or percent."""
    shares = not percent and not values.max() > 1
    if shares:
        notes.append(Message("{theirs} is taken as a share of 1 (--percent: it is percent)",
                             theirs=theirs))  # fmt: skip
        values = 100 * values
    words = _WORDS.findall(theirs.lower())
    accuracy = re.match(r"1(00)?\s*-", theirs) or any(
        _MEASURES.get(word) == "accuracy" for word in words
    )
    if accuracy:
        notes.append(Message("{theirs} is taken as an accuracy", theirs=theirs))
    return 100 - values if accuracy else values


def _by_epoch(found: pd.DataFrame, notes: list[Message]) -> pd.DataFrame:
    """A row an epoch: means of what was logged within it, the last learning rate and update."""
    if "epoch" not in found:
        steps = found["iteration"] if "iteration" in found else pd.Series(range(1, len(found) + 1))
        found = found.assign(epoch=steps.to_numpy())
    found = found.assign(epoch=np.ceil(found["epoch"].ffill().fillna(0)).astype("int64"))
    trained = [name for name in ("train_error", "train_loss") if name in found]
    if len(found) and found["epoch"].min() == 0 and trained:
        first = found[found["epoch"] == 0]
        if first[trained].notna().any(axis=None):
            found = found.assign(epoch=found["epoch"] + 1)
            notes.append(Message("its epochs count from 0: one is added, for complete epochs"))
    how = dict.fromkeys(found.columns.drop("epoch"), "mean")
    how |= {name: "last" for name in ("lr", "iteration") if name in found}
    history = found.groupby("epoch", as_index=False).agg(how)
    history = history.reindex(columns=tables.names("history"))
    history["iteration"] = history["iteration"].ffill().fillna(0).astype("int64")
    return tables.conform(history, "history")
