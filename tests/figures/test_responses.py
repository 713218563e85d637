"""Fig. 7: the table exactly, then the figure. pytest tests/figures/test_responses.py"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.figures import mean_responses, plot_responses, responses_info
from analysis.figures.responses import Choice, fitting_scale, over_seeds, recorded_epochs
from analysis.figures.theme import FADED
from analysis.runs import Run, load_run
from analysis.specs import NetSpec, plan
from tests.tiny import response_std, write_run

SOURCES = ("auto", "measured", "closed_form")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """plain-8 and resnet-8, three epochs; measured at the third."""
    folder = tmp_path_factory.mktemp("pair")
    return [load_run(write_run(folder, net)) for net in ("plain-8", "resnet-8")]


def test_the_table_has_a_row_a_layer_in_original_order(tiny_run: Run):
    """Every column, exactly: resnet-8 has seven 3x3 layers, measured at its last epoch."""
    info = responses_info([tiny_run])
    net = tiny_run.config.net
    names = ["stem.conv"] + [f"stage{s}.block1.conv{c}" for s in (1, 2, 3) for c in (1, 2)]
    std = np.array([1.01 * response_std(net, order, 3) for order in range(1, 8)])
    expected = pd.DataFrame(
        {
            "run": tiny_run.id,
            "net": "resnet-8",
            "kind": "residual",
            "label": "resnet-8",
            "variant": 0,
            "epoch": 3,
            "source": "measured",
            "layer": names,
            "order": range(1, 8),
            "index": range(1, 8),
            "rank": [int((std > own).sum()) + 1 for own in std],
            "std": std,
        }
    )
    pd.testing.assert_frame_equal(info, expected)


@pytest.mark.parametrize(
    ("source", "epoch", "expected"),
    [
        ("auto", None, ("measured", 3)),
        ("auto", 2, ("measured", 3)),
        ("closed_form", 2, ("closed_form", 2)),
        ("closed_form", None, ("closed_form", 3)),
        ("measured", 3, ("measured", 3)),
        ("closed_form", 99, ("closed_form", 3)),
    ],
)
def test_source_and_epoch_are_chosen(tiny_run: Run, source, epoch, expected):
    """Measured first where it is there, whatever the epoch: a control never changes the source."""
    info = responses_info([tiny_run], source, epoch)
    assert set(zip(info["source"], info["epoch"], strict=True)) == {expected}
    factor = 1.01 if expected[0] == "measured" else 1.0
    net = tiny_run.config.net
    assert info["std"][0] == pytest.approx(factor * response_std(net, 1, expected[1]))


@pytest.mark.parametrize("net", ["resnet-8-B", "resnet-8-C", "resnet-50-w4", "plain-18-w4"])
def test_only_3x3_layers_of_the_main_path_are_shown(tmp_path: Path, net: str):
    """No projection, no 1x1 layer of a bottleneck; the same layers as the plan's."""
    run = load_run(write_run(tmp_path, net))
    expected = [layer.name for layer in plan.layers(NetSpec.parse(net)) if layer.in_figure_7]
    for source in SOURCES:
        info = responses_info([run], source)
        assert info["layer"].tolist() == expected
        assert info["index"].tolist() == list(range(1, len(expected) + 1))


def test_the_figure_has_original_order_on_top_and_sorted_below(pair: list[Run]):
    """As Fig. 7; each line in the net's colour in both panels, one legend entry."""
    figure = plot_responses(responses_info(pair))
    drawn = [trace for trace in figure.data if trace.meta is None]
    top = [trace for trace in drawn if trace.xaxis == "x"]
    bottom = [trace for trace in drawn if trace.xaxis == "x2"]
    for upper, lower in zip(top, bottom, strict=True):
        assert sorted(upper.y, reverse=True) == list(lower.y)
        assert list(lower.x) == list(range(1, 8))
        assert upper.line.color == lower.line.color
        assert sorted(upper.customdata) == sorted(lower.customdata)
    assert [trace.showlegend for trace in drawn] == [True, False, True, False]
    assert figure.layout.xaxis.title.text == "Layer index (3x3 layers)"
    assert figure.layout.yaxis.title.text == "Standard deviation<br>of the BN output"
    upper, lower = (trace for trace in figure.data if trace.meta == "hover")
    assert upper.text[0].startswith("<b>Layer 1</b>")
    assert "stem.conv" in upper.text[0]
    assert lower.text[0].startswith("<b>Rank 1</b>")


def test_the_figure_names_source_and_epoch(pair: list[Run], tmp_path: Path):
    """And says so where the runs differ in them."""

    def subtitle(runs: list[Run], source: Choice) -> str:
        return plot_responses(responses_info(runs, source)).layout.title.subtitle.text

    assert subtitle(pair, "auto") == "Measured on images, evaluation mode; after epoch 3."
    assert subtitle(pair, "closed_form") == "In closed form from BN parameters; after epoch 3."
    longer = load_run(write_run(tmp_path, "resnet-14", epochs=5))
    table = longer.responses()
    table[table["source"] == "closed_form"].to_csv(longer.path / "responses.csv", index=False)
    assert subtitle([*pair, longer], "auto") == (
        "Measured; in closed form: resnet-14; after epochs 3 to 5."
    )


def test_highlighting_fades_the_others(pair: list[Run]):
    """In both panels."""
    figure = plot_responses(responses_info(pair), highlight=pair[1].id)
    drawn = [trace for trace in figure.data if trace.meta is None]
    assert [trace.opacity for trace in drawn] == [FADED, FADED, 1, 1]


def test_mean_response_is_over_the_3x3_layers(tmp_path: Path):
    """By hand, for a net that also has projections."""
    run = load_run(write_run(tmp_path, "resnet-8-B"))
    mean = np.mean([1.01 * response_std(run.config.net, order, 3) for order in range(1, 8)])
    assert mean_responses(responses_info([run]))[run.id] == pytest.approx(mean)


def test_epochs_are_those_of_any_run(pair: list[Run], tmp_path: Path):
    """Ascending, each once."""
    longer = load_run(write_run(tmp_path, "resnet-14", epochs=5))
    assert recorded_epochs([longer, *pair]) == [1, 2, 3, 4, 5]
    assert recorded_epochs([]) == []


def test_measured_once_there_is_no_epoch_to_choose(pair: list[Run]):
    """A slider would only move some nets to another source."""
    assert recorded_epochs(pair, "auto") == recorded_epochs(pair, "measured") == []


def test_one_net_that_explodes_makes_the_axis_logarithmic(pair: list[Run]):
    """Where the largest is over five times the median; it can be set otherwise."""
    info = responses_info(pair)
    assert fitting_scale(info) == "linear"
    wild = info.assign(std=info["std"].where(info["order"] > 1, 800.0))
    assert fitting_scale(wild) == "log"
    figure = plot_responses(wild)
    assert figure.layout.yaxis.type == figure.layout.yaxis2.type == "log"
    assert "Logarithmic axis: the largest is" in figure.layout.title.subtitle.text
    assert plot_responses(wild, scale="linear").layout.yaxis.type == "linear"


def test_hover_has_no_entry_where_a_net_has_no_layer(pair: list[Run], tmp_path: Path):
    """resnet-14 has 13 3x3 layers, the others seven."""
    deeper = load_run(write_run(tmp_path, "resnet-14"))
    carrier = next(t for t in plot_responses(responses_info([*pair, deeper])).data if t.meta)
    assert [text.count("<br>") for text in carrier.text] == [3] * 7 + [1] * 6
    assert "resnet-14" in carrier.text[12]


def test_seeds_are_one_line_of_responses(tmp_path: Path):
    """The mean of two seeds, between the least and the largest."""
    runs = [load_run(write_run(tmp_path, "plain-8", seed=s)) for s in (0, 1)]
    table = runs[1].responses()
    table.assign(std=table["std"] * 3).to_csv(runs[1].path / "responses.csv", index=False)
    merged = over_seeds(responses_info(runs), runs)
    std = 1.01 * response_std(NetSpec.parse("plain-8"), 1, 3)
    row = merged[merged["index"] == 1].iloc[0]
    assert row[["std_low", "std", "std_high"]].tolist() == pytest.approx([std, 2 * std, 3 * std])
    assert sorted(merged["rank"]) == list(range(1, 8))


@pytest.mark.parametrize("source", SOURCES)
def test_without_responses_the_figure_says_so(tmp_path: Path, source):
    """No run, or a run that has recorded none."""
    started = load_run(write_run(tmp_path, epochs=0, state="running"))
    for runs in ([], [started]):
        figure = plot_responses(responses_info(runs, source))
        assert figure.layout.annotations[0].text == (
            "None of these runs has recorded layer responses for this choice."
        )


def test_names_hide_no_lines(tmp_path: Path):
    """In the sorted panel a short net's name would lie on deeper ones; many names need a legend."""
    nets = ("plain-8", "resnet-8", "plain-14", "resnet-14", "plain-20", "resnet-20", "resnet-26")
    runs = [load_run(write_run(tmp_path, net, epochs=1)) for net in nets]
    notes = plot_responses(responses_info(runs)).layout.annotations
    named = {ref: [n.text.split()[-1] for n in notes if n.yref == ref] for ref in
             ("y domain", "y2 domain")}  # fmt: skip
    assert set(nets) <= set(named["y domain"])
    assert set(nets) & set(named["y2 domain"]) == {"resnet-26"}
    more = [*runs, load_run(write_run(tmp_path, "plain-26", epochs=1))]
    figure = plot_responses(responses_info(more))
    assert figure.layout.showlegend
    assert len(figure.layout.annotations) == 2
