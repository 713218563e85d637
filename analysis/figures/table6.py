"""Table 6 of He et al.: test error of the CIFAR nets by depth, over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.evidence.claims import TABLE_6, comparable_with_paper, one_a_seed, test_error
from analysis.runs import Run
from analysis.text import _

COLUMNS = ("net", "depth", "parameters", "best", "mean", "std", "seeds", "paper")


def table6_info(runs: Sequence[Run]) -> pd.DataFrame:
    """A row a net, in the order of the runs.

    Columns: net, depth, parameters; best, mean, std (of the test error at the end, percent, over
    seeds; std with n - 1, NaN of one seed); seeds (how many); paper (Table 6, percent; NaN unless
    every run is the paper's recipe on whole CIFAR-10: nothing else may stand beside it).
    """
    comparable = all(comparable_with_paper(run) for run in runs)
    by_net: dict[str, list[Run]] = {}
    for run in one_a_seed(runs):
        by_net.setdefault(run.net, []).append(run)
    rows = []
    for net, same in by_net.items():
        errors = pd.Series([test_error(run) for run in same])
        rows.append(
            (
                net, same[0].config.net.depth, same[0].parameters, errors.min(), errors.mean(),
                errors.std(), len(same), _paper_error(same[0]) if comparable else None,
            )
        )  # fmt: skip
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({"paper": float})


def _paper_error(run: Run) -> float | None:
    """None for a net that Table 6 has not: another width, family or shortcut option."""
    depth = run.config.net.depth
    return TABLE_6.get(depth) if run.net == f"resnet-{depth}" else None


def table6_words(info: pd.DataFrame) -> pd.DataFrame:
    """The table for people: `best (mean ± std)` where there are several seeds, as in the paper."""

    def error(row: pd.Series) -> str:
        if row["seeds"] < 2:
            return f"{row['best']:.2f}"
        return f"{row['best']:.2f} ({row['mean']:.2f} ± {row['std']:.2f})"

    words = {
        _("Net"): info["net"],
        _("Depth (layers)"): info["depth"].astype(str),
        _("Parameters"): info["parameters"].map(lambda value: f"{value / 1e6:.2f} M"),
        _("Test error (%)"): info.apply(error, axis=1) if len(info) else info["net"],
        _("Seeds"): info["seeds"].astype(str),
    }
    if info["paper"].notna().any():
        words[_("Table 6 (%)")] = info["paper"].map("{:.2f}".format).replace("nan", "\u2013")
    return pd.DataFrame(words)
