"""How small are a run's refinements? When its probes were taken, and the claim about depth.

A refinement is what a block adds to its shortcut's output: rms(F) / rms(x) (section 4.2: "residual
functions might be generally closer to zero"). No torch.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.evidence.verdicts import Claim, Nets, Verdict, judge_depth
from analysis.runs import Comparable, Run
from analysis.runs.remembering import remembered
from analysis.text import _

Moment = tuple[int, int]
"""(complete epochs, updates in the first epoch): (0, 0) is the initialisation, (3, 0) the end of
epoch 3."""
START: Moment = (0, 0)


def moments_of(table: pd.DataFrame) -> list[Moment]:
    """The moment of each row of a probe table."""
    epochs = table["epoch"].to_numpy()
    within = np.where(epochs > 0, 0, table["iteration"].to_numpy())
    return [(int(epoch), int(update)) for epoch, update in zip(epochs, within, strict=True)]


def last_rows(table: pd.DataFrame, moment: Moment | None = None) -> pd.DataFrame:
    """The rows of a probe table's last probe that is not after a moment; None: of its last."""
    found = moments_of(table)
    last = max((each for each in found if moment is None or each <= moment), default=None)
    return table[np.array([each == last for each in found], dtype=bool)]


def block_rows(run: Comparable, moment: Moment | None = None) -> pd.DataFrame:
    """A row a block: of the run's last probe not after a moment, else of its last measurement.

    Raises:
        RunDamaged: a table of the run is not whole.
    """
    rows = last_rows(run.probe_blocks(), moment)
    if rows.empty:
        rows = last_rows(run.refinement().assign(iteration=0), moment)
    return rows.sort_values("order")


@remembered
def median_ratio(run: Run) -> float:
    """Median over the blocks of rms(F) / rms(x) at the end of training; NaN: not recorded."""
    rows = block_rows(run)
    return float(rows["ratio"].median()) if len(rows) else np.nan


@remembered
def mean_ratio(run: Run) -> float:
    """Mean over the blocks of rms(F) / rms(x) over all test images; NaN: not recorded."""
    rows = run.refinement()
    return float(rows.loc[rows["epoch"] == rows["epoch"].max(), "ratio"].mean())


def _judge(nets: Nets) -> Verdict:
    known = {net: [run for run in runs if not np.isnan(median_ratio(run))]
             for net, runs in nets.items() if net.kind == "residual"}  # fmt: skip
    words = _("{net}: median of rms(F) / rms(x) over its blocks {value:.3f}")
    measured = {net: runs for net, runs in known.items() if runs}
    return judge_depth(measured, "residual", median_ratio, words, -1, 3)


CLAIM = Claim(
    "smaller-refinements", "4.2",
    lambda: _("The deeper a residual net, the less each block changes its input."),
    lambda: _("Fig. 7: \"When there are more layers, an individual layer of ResNets tends to "
              "modify the signal less.\""),
    lambda: _("From the shallowest to the deepest the median of rms(F) / rms(x) over the blocks "
              "falls by more than the spread between seeds, and from no depth to the next rises "
              "by more."),
    _judge, page="refinements", quantity=lambda: _("Median ratio rms(F) / rms(x)"),
)  # fmt: skip
