"""Measured times of nets on disk: one table, checked where it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from analysis.errors import RunDamaged, SpecError
from analysis.runs.files import disk_error, write_whole
from analysis.specs.costs import spec_of
from analysis.text import Message

if TYPE_CHECKING:
    import pandas as pd

TIME_COLUMNS = (
    "net", "image_size", "mode", "batch", "median_ms", "low_ms", "high_ms", "images_per_second",
    "repeats", "device", "threads", "machine", "torch",
)  # fmt: skip
"""Of a table of measured times: a row a net, mode and batch size, see `lens.complexity`."""
MODES = ("inference", "training")
_NUMBERS = ("batch", "median_ms", "low_ms", "high_ms", "images_per_second", "threads")


def read_times(path: Path) -> pd.DataFrame:
    """Measured times from their file, checked.

    Raises:
        RunDamaged: not such a table; the message says what is wrong and what to do.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path)
        problem = _problem_of_times(table)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        problem = Message(str(error))
    if problem:
        raise RunDamaged(
            "{file} is no table of measured times: {problem}. Measure again or delete it.",
            file=path,
            problem=problem,
        )
    return table


def _problem_of_times(table: pd.DataFrame) -> Message:
    """What is wrong with a table of times; empty: nothing."""
    import pandas as pd

    missing = [name for name in TIME_COLUMNS if name not in table.columns]
    if missing:
        return Message("it has no column {names}", names=", ".join(missing))
    if table.empty:
        return Message("it has no rows")
    for name in _NUMBERS:
        numbers = pd.to_numeric(table[name], errors="coerce")
        wrong = table.loc[~(numbers > 0) | (numbers == float("inf")), name]
        if len(wrong):
            return Message("{value} in column {name}", value=repr(wrong.iloc[0]), name=name)
    wrong = table.loc[~table["mode"].isin(MODES), "mode"]
    if len(wrong):
        return Message("{value} in column {name}", value=repr(wrong.iloc[0]), name="mode")
    for net in table["net"].unique():
        try:
            spec_of(str(net))
        except SpecError:
            return Message("{value} in column {name}", value=repr(net), name="net")
    return Message()


def write_times(table: pd.DataFrame, path: Path) -> None:
    """Keep measured times, whole or not at all. Raises RunError: no space, no permission."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(path, error) from error
    write_whole(path, lambda temporary: table.to_csv(temporary, index=False))
