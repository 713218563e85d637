"""Errors without blocks, as tables and figures; the numbers are made up and known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.figures import lesions
from analysis.runs import load_run
from analysis.runs.learned import Lesions
from tests.probed import write_probed


@pytest.fixture
def pair(tmp_path):
    """plain-14 and resnet-14, and lesions of both."""
    runs = [load_run(write_probed(tmp_path, net)) for net in ("plain-14", "resnet-14")]
    names = tuple(f"stage{s}.block{b}" for s in (1, 2, 3) for b in (1, 2))
    several = np.array([[20.0, 30.0], [40.0, 60.0]])
    parts = [np.array([1, 3]), several, np.array([[0, 1]]), np.array([25.0]), 256]
    plain = np.array([70, 80, np.nan, 85, np.nan, 90])
    residual = np.array([30, 11, 25, 12, 28, 13.0])
    return runs, {
        runs[0].id: Lesions(names, 10.0, plain, *parts),
        runs[1].id: Lesions(names, 10.0, residual, *parts),
    }


def test_a_row_a_block_that_can_be_removed(pair):
    """With its place, as in the figure of the ratios, and its ratio."""
    info = lesions.single_info(*pair)
    assert list(info["net"].value_counts()) == [6, 4]
    residual = info[info["net"] == "resnet-14"]
    assert list(residual["place"]) == [0.25, 0.75, 1.25, 1.75, 2.25, 2.75]
    assert residual["ratio"].notna().all()
    figure = lesions.plot_single(info)
    assert [trace.type for trace in figure.data] == ["scatter"] * 3
    assert list(figure.data[1].y) == [30, 11, 25, 12, 28, 13]
    alone = lesions.plot_single(info, residual["run"].iloc[0]).data  # drawn last: bars, ratios
    assert [trace.type for trace in alone] == ["scatter", "bar", "scatter"]
    assert list(alone[1].base) == [10.0] * 6
    assert list(alone[1].y) == [20, 1, 15, 2, 18, 3]


def test_blocks_that_the_net_has_not_are_left_out(pair):
    """A file from elsewhere may name any; the others are drawn, at their places."""
    runs, found = pair
    names = ("<b>x</b>", "stage9.block9", *found[runs[1].id].names[2:])
    odd = {runs[1].id: replace(found[runs[1].id], names=names)}
    info = lesions.single_info(runs, odd)
    assert info["block_name"].tolist() == list(names[2:])
    assert info["place"].tolist() == [1.25, 1.75, 2.25, 2.75]
    none = {runs[1].id: replace(found[runs[1].id], names=("x",) * 6)}
    assert not lesions.plot_single(lesions.single_info(runs, none)).data


def test_the_words_are_from_the_numbers(pair):
    """Median, worst block, and the rank correlation: here every larger ratio costs more."""
    words = lesions.single_words(lesions.single_info(*pair))
    assert words[0] == (
        "plain-14 (10.0 % wrong) without one block: 82.5 % in the median, 90.0 % without "
        "stage3.block2."
    )
    assert words[1].startswith(
        "resnet-14 (10.0 % wrong) without one block: 19.0 % in the median, 30.0 % without "
        "stage1.block1; the larger its ratio, the worse: rank correlation 0."
    )


def test_rank_correlation_is_spearmans():
    """1 for the same order, -1 for the reverse, NaN for too few."""
    import pandas as pd

    rows = pd.DataFrame({"error": [1.0, 5.0, 30.0], "ratio": [0.1, 0.2, 0.3]})
    assert lesions.rank_correlation(rows) == pytest.approx(1)
    assert lesions.rank_correlation(rows.assign(ratio=[3, 2, 1])) == pytest.approx(-1)
    assert np.isnan(lesions.rank_correlation(rows[:2]))


def test_random_blocks_have_medians_and_quantiles(pair):
    """None removed is the whole net; swaps are a sentence."""
    info = lesions.several_info(*pair)
    removed = info[(info["how"] == "removed") & (info["net"] == "resnet-14")]
    assert list(removed["count"]) == [0, 1, 3]
    assert list(removed["median"]) == [10, 25, 50]
    assert len(lesions.plot_several(info).data) == 2
    assert "resnet-14 with two blocks of a stage swapped: 25.0 % in the median." in (
        lesions.swap_words(info)
    )


def test_without_lesions_the_figures_say_so(pair):
    """No empty axes."""
    runs, _found = pair
    assert not lesions.plot_single(lesions.single_info(runs, {})).data
    assert not lesions.plot_several(lesions.several_info(runs, {})).data
