"""The one schema of what a training records: columns, units, ranges, meaning.

Tidy tables go from training to figures, each with an entry in `SCHEMAS`: `history` (one row per
epoch), `responses` (one row per layer, epoch and source), `refinement` (one row per block and
epoch). Errors are percent top-1 wrong, counted over images. Writers and readers take the header
from here, so a file's columns never shift.

Tables grow. A new column says with which version of its table it came (`since`) and what rows of
older files get (`default`); nothing else is to be done. A column that is renamed, or that changes
its unit, gets a new name, and the table a patch: `Table(columns, {1: patch_1_to_2})`. Which
version a file has is told by its columns: the newest one of which it has any.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

from analysis.errors import RunDamaged

if TYPE_CHECKING:
    import pandas as pd

Dtype = Literal["int64", "float64", "str"]
Patch = Callable[["pd.DataFrame"], "pd.DataFrame"]
"""Turns the rows of a version into those of the next; changes no frame in place."""

COUNT = 10**12
"""No number of epochs, updates or images is larger."""
_RANGES = {"%": (0.0, 100.0), "s": (0.0, math.inf), "1/s": (0.0, math.inf)}
"""By unit."""


@dataclass(frozen=True)
class Column:
    """One column: its name in files, its dtype, its unit, what it means and what it may hold."""

    name: str
    dtype: Dtype
    unit: str
    meaning: str
    low: float | None = None
    """Least value; None: as the unit says, and no count is below 0."""
    since: int = 1
    """The version of its table with which it came."""
    default: float | str | None = None
    """What rows of older files get; None: NaN, or nothing where there can be no NaN."""
    values: tuple[str, ...] = ()
    """All values that a text may have; any where there are none."""

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest value."""
        if self.dtype == "int64":
            return self.low or 0, COUNT
        low, high = _RANGES.get(self.unit, (-math.inf, math.inf))
        return low if self.low is None else self.low, high

    @property
    def filler(self) -> float | str | None:
        """What stands where there is no value; None: there has to be one."""
        return math.nan if self.default is None and self.dtype == "float64" else self.default


@dataclass(frozen=True)
class Table:
    """The columns of a table and how older files of it are read."""

    columns: tuple[Column, ...]
    patches: Mapping[int, Patch] = field(default_factory=dict)
    """By the version that they start from."""
    at_the_end: Callable[[pd.DataFrame], pd.Series] | None = None
    """Which rows a training measures anew when it ends, so that resuming drops them."""
    at_the_start: bool = False
    """Whether a training looks before its first update, so that beginning anew drops epoch 0."""
    increasing: bool = False
    """Whether there is one row per epoch, in order."""

    @property
    def version(self) -> int:
        """The newest."""
        return max(column.since for column in self.columns)


SOURCES = ("measured", "closed_form")

HISTORY = (
    Column("epoch", "int64", "", "passes over the training images that are complete; 0: untrained"),
    Column("iteration", "int64", "", "optimiser updates so far"),
    Column("lr", "float64", "", "learning rate of the epoch's last update"),
    Column("train_loss", "float64", "nats", "mean cross-entropy on augmented batches (running)"),
    Column("train_error", "float64", "%", "top-1 error on augmented batches (running)"),
    Column(
        "train_error_clean", "float64", "%", "top-1 error on the clean training set, at the end"
    ),
    Column("val_error", "float64", "%", "top-1 error on held-out training images, if any"),
    Column("test_loss", "float64", "nats", "mean cross-entropy on the test set"),
    Column("test_error", "float64", "%", "top-1 error on the test set"),
    Column("seconds", "float64", "s", "training time of the epoch, evaluation apart"),
    Column("images_per_second", "float64", "1/s", "training throughput of the epoch"),
    Column(
        "wall_seconds", "float64", "s", "time since the start, evaluation and all, pauses apart"
    ),
)

MEASURED_OVER = tuple(
    Column(name, "str", "", meaning, since=2, default="")
    for name, meaning in (
        ("fingerprint", "of the data set that the images are from, as in config.json; or unknown"),
        ("normalization", "of the input: `own` is the training images' mean; or unknown"),
        ("version", "of Residual Lens that measured; or unknown"),
    )
)
"""What tells one measurement from another, beside `epoch` and `n_images`; empty: not known."""
MEASUREMENT = ["epoch", "n_images", *(column.name for column in MEASURED_OVER)]

RESPONSES = (
    Column("epoch", "int64", "", "as in history"),
    Column("layer", "str", "", "path of the convolution: stage1.block3.conv2"),
    Column(
        "order", "int64", "", "position on the main path from 1; shared by a block's projection"
    ),
    Column("stage", "int64", "", "from 1; 0 is the stem"),
    Column("block", "int64", "", "in its stage, from 1; 0 is the stem"),
    Column("conv", "int64", "", "in its block, from 1; 0 is a projection shortcut"),
    Column("kernel", "int64", "pixels", "of the convolution; Fig. 7 shows the 3x3 layers"),
    Column(
        "source",
        "str",
        "",
        "measured: hooks, evaluation mode; closed_form: from BN parameters",
        values=SOURCES,
    ),
    Column("std", "float64", "", "standard deviation of the BN output over all its elements", 0.0),
    Column("mean", "float64", "", "mean of the BN output over all its elements"),
    Column("n_images", "int64", "", "images measured; 0 for closed_form"),
    *MEASURED_OVER,
)

REFINEMENT = (
    Column("epoch", "int64", "", "as in history"),
    Column("block_name", "str", "", "path of the block: stage1.block3"),
    Column("order", "int64", "", "position among the blocks, from 1"),
    Column("stage", "int64", "", "from 1"),
    Column("block", "int64", "", "in its stage, from 1"),
    Column("rms_x", "float64", "", "root mean square of the shortcut's output", 0.0),
    Column("rms_f", "float64", "", "root mean square of the residual function F", 0.0),
    Column("ratio", "float64", "", "rms_f / rms_x: how large the refinement is", 0.0),
    Column("cosine", "float64", "", "mean over images of cos(x, x + F)"),
    Column("n_images", "int64", "", "images measured"),
    *MEASURED_OVER,
)

_PROBED_AT = (
    Column("epoch", "int64", "", "complete epochs; 0 in the first one"),
    Column("iteration", "int64", "", "optimiser updates done; 0: at initialisation"),
)

PROBES = (
    *_PROBED_AT,
    *(column for column in RESPONSES[1:7]),
    Column("std", "float64", "", "of the response on the probe; none without a BN", 0.0),
    Column("mean", "float64", "", "of the response on the probe"),
    Column("zeros", "float64", "", "share of zeros after the ReLU that follows", 0.0),
    Column("grad_norm", "float64", "", "of the layer's weight, in the last training batch", 0.0),
    Column("weight_norm", "float64", "", "of the layer's weight", 0.0),
    Column("n_images", "int64", "", "of the probe: fixed, class-balanced test images"),
)
"""One row per layer and probe. In epoch 0 BN normalizes by the probe's own batches, from then on
by its running statistics."""

PROBE_BLOCKS = (
    *_PROBED_AT,
    *(column for column in REFINEMENT[1:5]),
    Column("rms_x", "float64", "", "root mean square of the shortcut's output, median", 0.0),
    Column("rms_f", "float64", "", "root mean square of the residual function F, median", 0.0),
    Column("ratio", "float64", "", "rms_f / rms_x of an image, median over the probe", 0.0),
    Column("ratio_low", "float64", "", "5th percentile over the probe's images", 0.0),
    Column("ratio_high", "float64", "", "95th percentile over the probe's images", 0.0),
    Column("cosine", "float64", "", "cos(x, x + F) of an image, median over the probe"),
    Column("cosine_low", "float64", "", "5th percentile over the probe's images"),
    Column("cosine_high", "float64", "", "95th percentile over the probe's images"),
    Column("drift", "float64", "", "cos of the stage's first x and this block's x, median"),
    Column("n_images", "int64", "", "of the probe"),
)
"""One row per block and probe, of nets with shortcuts."""

POINTS = (
    Column("epoch", "int64", "", "as in history"),
    Column("point", "str", "", "path of the module; #2: its second such point in a pass"),
    Column("order", "int64", "", "position in the pass, from 1"),
    Column("kind", "str", "", "norm: a normalization that is no BN; activation"),
    Column("what", "str", "", "the norm's class, or the activation"),
    Column("std", "float64", "", "standard deviation of a norm's output over all its elements"),
    Column("mean", "float64", "", "mean of a norm's output over all its elements"),
    Column("zeros", "float64", "", "share 0..1 of exact zeros after an activation"),
    Column("n_images", "int64", "", "images measured"),
)
"""Of recordings alone: what a foreign module has that is no layer response of Fig. 7."""

SCHEMAS: dict[str, Table] = {
    "history": Table(HISTORY, increasing=True),
    "responses": Table(RESPONSES, at_the_end=lambda rows: rows["source"] == "measured"),
    "refinement": Table(REFINEMENT, at_the_end=lambda rows: rows["epoch"] >= 0),
    "probes": Table(PROBES, at_the_start=True),
    "probe_blocks": Table(PROBE_BLOCKS, at_the_start=True),
    "points": Table(POINTS),
}


def names(table: str) -> list[str]:
    """The column names of a table, in file order."""
    return [column.name for column in SCHEMAS[table].columns]


def empty(table: str) -> pd.DataFrame:
    """The table with no rows and the right dtypes."""
    return _empty(table).copy()


@cache
def _empty(table: str) -> pd.DataFrame:
    import pandas as pd

    return conform(pd.DataFrame(columns=names(table)), table)


def version_of(frame: pd.DataFrame, table: str) -> int:
    """The version of its table that a frame was written by: the newest of which it has a column."""
    since = [c.since for c in SCHEMAS[table].columns if c.name in frame.columns]
    return max(since, default=1)


def first_measurement(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the measurements that stand beside the first one of the same epoch.

    Args:
        frame: `responses` or `refinement`; rows of source `closed_form` all stay.
    """
    import pandas as pd

    found = measurements(frame)
    beside = found[found.duplicated("epoch")]
    if beside.empty:
        return frame
    keys = pd.MultiIndex.from_frame(frame[MEASUREMENT])
    return frame[~keys.isin(pd.MultiIndex.from_frame(beside))]


def measurements(frame: pd.DataFrame) -> pd.DataFrame:
    """What each measurement in `responses` or `refinement` is of: one row each, columns
    `MEASUREMENT`, in the order in which they were made."""
    return frame.loc[frame["n_images"] > 0, MEASUREMENT].drop_duplicates(ignore_index=True)


def conform(frame: pd.DataFrame, table: str, where: str = "") -> pd.DataFrame:
    """`frame` with the schema's columns first and their dtypes; columns it does not know stay.

    Args:
        frame: rows of any version of the table.
        table: a name in `SCHEMAS`.
        where: the file, for the message.

    Raises:
        RunDamaged: a column of the frame's own version is missing, or a value is not of its
            column's type and range.
    """
    import pandas as pd

    where, schema, version = where or table, SCHEMAS[table], version_of(frame, table)
    for older in range(version, schema.version):
        frame = schema.patches.get(older, lambda same: same)(frame)
    missing = [c for c in schema.columns if c.name not in frame.columns]
    lost = [c.name for c in missing if c.since <= version]
    if lost:
        raise RunDamaged("{table}: no column {missing}", table=where, missing=", ".join(lost))
    typed = {c.name: _typed(frame, c, where) for c in schema.columns}
    if schema.increasing and (typed["epoch"].diff() <= 0).any():
        raise RunDamaged("{table}: its epochs are not in order", table=where)
    extra = {name: frame[name] for name in frame.columns if name not in typed}
    return pd.DataFrame({**typed, **extra}, index=frame.index)


def _typed(frame: pd.DataFrame, column: Column, where: str) -> pd.Series:
    """A column with its dtype, every value in its range. Raises RunDamaged."""
    import pandas as pd

    if column.name not in frame.columns:
        return pd.Series(column.filler, index=frame.index, dtype=column.dtype)
    found = frame[column.name]
    if column.dtype == "str":
        typed, whole = found, found.dtype == "str" and not found.hasnans
        if not whole:
            typed = found.astype(object).where(found.notna(), column.filler).astype("str")
        wrong = typed.isna().to_numpy()
        if column.values and not set(typed.unique()) <= set(column.values):
            wrong = wrong | ~typed.isin(column.values).to_numpy()
    else:
        typed = _numbers(found)
        values, (low, high) = typed.to_numpy(), column.range  # three times as fast as the Series
        wrong = ~((values >= low) & (values <= high))
        if column.dtype == "int64":
            wrong |= values != values.round()
        elif wrong.any():  # also where none was given, as in a column of NaN
            wrong &= found.notna().to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise RunDamaged(
            "{table}: {column} is {value} in row {row}", table=where, column=column.name,
            value=_short(found.iloc[row]), row=row + 1,
        )  # fmt: skip
    return typed if typed.dtype == column.dtype else typed.astype(column.dtype)


def _numbers(found: pd.Series) -> pd.Series:
    """Its values as numbers; NaN for what is none."""
    import pandas as pd

    if found.dtype.kind in "iuf":
        return found
    if found.dtype.kind == "b":
        return pd.Series(math.nan, index=found.index)
    return found.map(_number).astype("float64")


def _number(value: object) -> float:
    try:
        return float(value)  # ty: ignore[invalid-argument-type]
    except (ValueError, TypeError, OverflowError):  # the last one of a number of 400 digits
        return math.nan


def _short(value: object) -> str:
    if isinstance(value, float) and math.isnan(value):
        return "empty"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
