"""Error curves: the table exactly, then the figure. pytest tests/figures/test_curves.py"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from analysis.errors import RunDamaged
from analysis.figures import error_curves_info, plot_error_curves
from analysis.figures.curves import fitting_arrangement, over_seeds, smoothed
from analysis.figures.theme import FADED
from analysis.runs import Run, load_run
from analysis.specs import NetSpec
from tests.tiny import STEPS, errors, write_run

TEN = [f"{kind}-{depth}" for kind in ("plain", "resnet") for depth in (8, 14, 20, 32, 56)]


def lines(figure: go.Figure) -> list:
    """The runs' own lines: no band, nothing that carries labels."""
    return [trace for trace in figure.data if trace.meta is None]


def carriers(figure: go.Figure) -> list:
    """What has the labels under the pointer, one a panel."""
    return [trace for trace in figure.data if trace.meta == "hover"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """plain-8 and resnet-8, three epochs."""
    folder = tmp_path_factory.mktemp("pair")
    return [load_run(write_run(folder, net)) for net in ("plain-8", "resnet-8")]


def test_the_table_has_a_row_a_run_and_epoch(pair: list[Run]):
    """Every column, exactly."""
    info = error_curves_info(pair)
    rows = [
        {
            "run": run.id,
            "net": run.net,
            "kind": run.config.net.kind,
            "label": run.net,
            "variant": 0,
            "epoch": epoch,
            "iteration": epoch * STEPS,
            "wall_seconds": epoch * 0.8,
            "train_error": errors(run.config.net, epoch)[0],
            "test_error": errors(run.config.net, epoch)[1],
        }
        for run in pair
        for epoch in (1, 2, 3)
    ]
    pd.testing.assert_frame_equal(info, pd.DataFrame(rows))


def test_training_error_is_thick_and_test_error_thin_in_the_nets_colour(pair: list[Run]):
    """Two solid lines a run, one legend entry."""
    figure = plot_error_curves(error_curves_info(pair))
    widths = [trace.line.width for trace in lines(figure)]
    assert widths == [3, 1.2, 3, 1.2]
    assert {trace.line.dash for trace in lines(figure)} == {"solid"}
    assert figure.data[0].line.color == figure.data[1].line.color == "#c28800"
    assert [trace.name for trace in figure.data if trace.showlegend] == ["plain-8", "resnet-8"]
    assert figure.layout.title.subtitle.text == (
        "Thick: training, running on augmented batches. Thin: test."
    )


@pytest.mark.parametrize(
    ("x", "title", "values"),
    [
        ("epoch", "Epoch", [1, 2, 3]),
        ("iteration", "Iteration (updates)", [20, 40, 60]),
        ("wall", "Time since the start (s)", [0.8, 1.6, 2.4]),
    ],
)
def test_the_horizontal_axis_has_its_name_and_unit(pair: list[Run], x, title, values):
    """Epoch, iteration or time."""
    figure = plot_error_curves(error_curves_info(pair), x=x)
    assert figure.layout.xaxis.title.text == title
    assert figure.layout.yaxis.title.text == "Error (%)"
    np.testing.assert_allclose(figure.data[0].x, values)


@pytest.mark.parametrize(
    ("seconds", "unit", "value"), [(90.0, "s", 90.0), (600.0, "min", 10.0), (36000.0, "h", 10.0)]
)
def test_time_is_in_the_unit_that_suits_it(pair: list[Run], seconds, unit, value):
    """A minute and a half in seconds, ten minutes in minutes, ten hours in hours."""
    info = error_curves_info(pair[:1]).assign(wall_seconds=seconds)
    figure = plot_error_curves(info, x="wall")
    assert figure.layout.xaxis.title.text == f"Time since the start ({unit})"
    assert figure.data[0].x[-1] == value


def test_hover_shows_all_nets_at_one_x(pair: list[Run]):
    """With percent behind each number; the lines themselves say nothing."""
    figure = plot_error_curves(error_curves_info(pair))
    assert figure.layout.hovermode == "x"
    assert {trace.hoverinfo for trace in lines(figure)} == {"skip"}
    (carrier,) = carriers(figure)
    test = errors(NetSpec.parse("resnet-8"), 2)[1]
    label = carrier.text[1].split("<br>")
    assert label[0] == "<b>Epoch: 2</b>"
    assert any(line.endswith(f"resnet-8, test <b>{test:.2f} %</b>") for line in label)
    assert len(label) == 5


def test_hover_has_no_entry_where_a_run_has_no_point(tmp_path: Path):
    """Three epochs beside five: at the fifth there is one run."""
    short, long = (load_run(write_run(tmp_path, "plain-8", epochs=e, seed=e)) for e in (3, 5))
    (carrier,) = carriers(plot_error_curves(error_curves_info([short, long])))
    assert list(carrier.x) == [1, 2, 3, 4, 5]
    assert ["quick-e3" in text for text in carrier.text] == [True, True, True, False, False]
    assert all("quick-e5" in text for text in carrier.text)


def test_smoothing_is_the_bias_corrected_average_and_named(pair: list[Run]):
    """By hand: w = 1/2 weighs 1, 3 as (1/2 + 3) / (1/2 + 1)."""
    assert smoothed(pd.Series([1.0, 3.0]), 0.5).tolist() == [1.0, 3.5 / 1.5]
    constant = pd.Series([4.0, np.nan, 4.0])
    np.testing.assert_array_equal(smoothed(constant, 0.9), constant)
    figure = plot_error_curves(error_curves_info(pair), smoothing=0.5)
    assert figure.layout.title.subtitle.text.endswith(
        "<br>Smoothed by an exponential moving average of weight 0.50."
    )
    e1, e2 = (errors(NetSpec.parse("plain-8"), epoch)[0] for epoch in (1, 2))
    assert figure.data[0].y[1] == pytest.approx((e1 / 2 + e2) / 1.5)


def test_highlighting_fades_the_others_and_draws_on_top(pair: list[Run]):
    """The legend keeps its order."""
    figure = plot_error_curves(error_curves_info(pair), highlight=pair[0].id)
    assert [trace.legendgroup for trace in lines(figure)][-2:] == [pair[0].id] * 2
    assert [trace.opacity for trace in lines(figure)] == [FADED, FADED, 1, 1]
    assert {trace.legendgroup: trace.legendrank for trace in lines(figure)} == {
        pair[0].id: 1,
        pair[1].id: 2,
    }


def test_panels_put_plain_left_and_residual_right_on_one_error_axis(pair: list[Run]):
    """As in Fig. 6."""
    figure = plot_error_curves(error_curves_info(pair), scale="log", arrangement="panels")
    assert [(trace.xaxis, trace.yaxis) for trace in lines(figure)] == [
        ("x", "y"), ("x", "y"), ("x2", "y2"), ("x2", "y2"),
    ]  # fmt: skip
    assert figure.layout.yaxis2.matches == "y"
    assert figure.layout.yaxis.type == figure.layout.yaxis2.type == "log"
    heads = [note.text for note in figure.layout.annotations]
    assert heads[:2] == ["<b>Plain nets</b>", "<b>Residual nets</b>"]
    assert [head.split()[-1] for head in heads[2:]] == ["8", "8"]  # the lines' names at their ends


def test_panels_are_the_default_where_both_kinds_have_two_depths(pair: list[Run], tmp_path: Path):
    """As in Fig. 6; a pair of one depth is drawn together."""
    assert fitting_arrangement(pair) == "overlay"
    deeper = [load_run(write_run(tmp_path, net)) for net in ("plain-14", "resnet-14")]
    assert fitting_arrangement([*pair, *deeper]) == "panels"


def test_seeds_are_one_line_with_a_band_from_least_to_largest(tmp_path: Path):
    """Means by hand; the third net has one seed and no band."""
    runs = [load_run(write_run(tmp_path, "plain-8", seed=s)) for s in (0, 1)]
    shifted = runs[1].history().assign(train_error=lambda t: t["train_error"] + 4)
    shifted.to_csv(runs[1].path / "history.csv", index=False)
    runs.append(load_run(write_run(tmp_path, "resnet-8")))
    merged = over_seeds(error_curves_info(runs), runs)
    first = merged[(merged["net"] == "plain-8") & (merged["epoch"] == 1)].iloc[0]
    error = errors(NetSpec.parse("plain-8"), 1)[0]
    assert first[["train_error_low", "train_error", "train_error_high"]].tolist() == pytest.approx(
        [error, error + 2, error + 4]
    )
    assert merged.groupby("label", sort=False)["seeds"].max().to_dict() == {
        "plain-8": 2,
        "resnet-8": 1,
    }
    figure = plot_error_curves(merged)
    assert [trace.meta for trace in figure.data].count("band") == 1
    assert "Bands: range over seeds." in figure.layout.title.subtitle.text


def test_ten_nets_stand_in_the_legend_by_kind_and_depth(tmp_path: Path):
    """However they were picked."""
    runs = [load_run(write_run(tmp_path, net, epochs=2)) for net in TEN[::-1]]
    figure = plot_error_curves(error_curves_info(runs))
    entries = [trace for trace in figure.data if trace.showlegend]
    assert [entry.name for entry in sorted(entries, key=lambda e: e.legendrank)] == TEN
    assert len(lines(figure)) == 20
    assert not figure.layout.showlegend
    named = [note.text.split()[-1] for note in figure.layout.annotations]
    assert sorted(named) == sorted(TEN)  # at the lines' ends


def test_one_epoch_is_a_point_not_an_invisible_line(tmp_path: Path):
    """A line through one point shows nothing."""
    run = load_run(write_run(tmp_path, epochs=1))
    assert plot_error_curves(error_curves_info([run])).data[0].mode == "lines+markers"


@pytest.mark.parametrize("epochs", [None, 0])
def test_without_an_epoch_the_figure_says_so(tmp_path: Path, epochs: int | None):
    """No run at all, or one that has just begun."""
    runs = [] if epochs is None else [load_run(write_run(tmp_path, epochs=0, state="running"))]
    info = error_curves_info(runs)
    assert info.columns[-1] == "test_error"
    figure = plot_error_curves(info)
    assert figure.layout.annotations[0].text == "None of these runs has completed an epoch yet."


def test_a_torn_table_is_an_error_that_names_the_file(tmp_path: Path):
    """Never a half-drawn curve."""
    path = write_run(tmp_path, state="running")
    (path / "history.csv").write_text("epoch,iteration\n1,20\n")
    with pytest.raises(RunDamaged, match=r"_tiny: history\.csv: no column lr, train_loss"):
        error_curves_info([load_run(path)])
