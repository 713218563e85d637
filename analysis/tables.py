"""The one schema of what a training records: columns, units, meaning.

Three tidy tables go from training to figures: `history` (a row an epoch), `responses` (a row a
layer, epoch and source) and `refinement` (a row a block and epoch). Errors are percent top-1
wrong, counted over images. Writers and readers take the header from here, so a file's columns
never shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from analysis.errors import RunDamaged

Dtype = Literal["int64", "float64", "str"]


@dataclass(frozen=True)
class Column:
    """One column: its name in files, its dtype, its unit and what it means."""

    name: str
    dtype: Dtype
    unit: str
    meaning: str


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
        "source", "str", "", "measured: hooks, evaluation mode; closed_form: from BN parameters"
    ),
    Column("std", "float64", "", "standard deviation of the BN output over all its elements"),
    Column("mean", "float64", "", "mean of the BN output over all its elements"),
    Column("n_images", "int64", "", "images measured; 0 for closed_form"),
)

REFINEMENT = (
    Column("epoch", "int64", "", "as in history"),
    Column("block_name", "str", "", "path of the block: stage1.block3"),
    Column("order", "int64", "", "position among the blocks, from 1"),
    Column("stage", "int64", "", "from 1"),
    Column("block", "int64", "", "in its stage, from 1"),
    Column("rms_x", "float64", "", "root mean square of the shortcut's output"),
    Column("rms_f", "float64", "", "root mean square of the residual function F"),
    Column("ratio", "float64", "", "rms_f / rms_x: how large the refinement is"),
    Column("cosine", "float64", "", "mean over images of cos(x, x + F)"),
    Column("n_images", "int64", "", "images measured"),
)

PROBES = (
    Column("epoch", "int64", "", "complete epochs"),
    Column("iteration", "int64", "", "optimiser updates done"),
    Column("layer", "str", "", "path of the convolution: stage1.block3.conv2"),
    Column("order", "int64", "", "position on the main path from 1"),
    Column("stage", "int64", "", "from 1; 0 is the stem"),
    Column("block", "int64", "", "in its stage, from 1; 0 is the stem"),
    Column("conv", "int64", "", "in its block, from 1; 0 is a projection shortcut"),
    Column("kernel", "int64", "pixels", "of the convolution"),
    Column("std", "float64", "", "standard deviation of the BN output over all its elements"),
    Column("mean", "float64", "", "mean of the BN output over all its elements"),
    Column("zeros", "float64", "", "share of zeros after its ReLU; NaN: there is none"),
    Column("grad_norm", "float64", "", "of the layer's weight, last batch; NaN at iteration 0"),
    Column("weight_norm", "float64", "", "of the layer's weight"),
    Column("n_images", "int64", "", "images of the probe"),
)

PROBE_BLOCKS = (
    Column("epoch", "int64", "", "complete epochs"),
    Column("iteration", "int64", "", "optimiser updates done"),
    Column("block_name", "str", "", "path of the block: stage1.block3"),
    Column("order", "int64", "", "position among the blocks, from 1"),
    Column("stage", "int64", "", "from 1"),
    Column("block", "int64", "", "in its stage, from 1"),
    Column("rms_x", "float64", "", "root mean square of the shortcut's output"),
    Column("rms_f", "float64", "", "root mean square of the residual function F"),
    Column("ratio", "float64", "", "median over images of rms(F) / rms(x)"),
    Column("ratio_low", "float64", "", "5 % of the images are below"),
    Column("ratio_high", "float64", "", "5 % of the images are above"),
    Column("cosine", "float64", "", "median over images of cos(x, x + F)"),
    Column("cosine_low", "float64", "", "5 % of the images are below"),
    Column("cosine_high", "float64", "", "5 % of the images are above"),
    Column("drift", "float64", "", "median over images of cos(x of the stage's first block, x)"),
    Column("n_images", "int64", "", "images of the probe"),
)

SCHEMAS = {
    "history": HISTORY,
    "responses": RESPONSES,
    "refinement": REFINEMENT,
    "probes": PROBES,
    "probe_blocks": PROBE_BLOCKS,
}
SOURCES = ("measured", "closed_form")


def names(table: str) -> list[str]:
    """The column names of a table, in file order."""
    return [column.name for column in SCHEMAS[table]]


def units(table: str) -> dict[str, str]:
    """Unit by column name; an empty string where there is none."""
    return {column.name: column.unit for column in SCHEMAS[table]}


def empty(table: str) -> pd.DataFrame:
    """The table with no rows and the right dtypes."""
    return conform(pd.DataFrame(columns=names(table)), table)


def conform(frame: pd.DataFrame, table: str, where: str = "") -> pd.DataFrame:
    """`frame` with the schema's columns first and their dtypes; columns it does not know stay.

    Args:
        frame: rows with at least the schema's columns.
        table: `history`, `responses` or `refinement`.
        where: the file, for the message.

    Raises:
        RunDamaged: a column is missing or holds something that is not of its type.
    """
    missing = [name for name in names(table) if name not in frame.columns]
    if missing:
        raise RunDamaged(
            "{table}: no column {missing}", table=where or table, missing=", ".join(missing)
        )
    extra = [name for name in frame.columns if name not in names(table)]
    try:
        typed = frame.astype({column.name: column.dtype for column in SCHEMAS[table]})
    except (ValueError, TypeError) as error:
        raise RunDamaged("{table}: {error}", table=where or table, error=error) from error
    return typed[names(table) + extra]
