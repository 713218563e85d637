"""Figures of the paper's argument: exact tables, and drawings that hold them."""

from __future__ import annotations

import json

import pandas as pd

from analysis.evidence.claims import evaluate
from analysis.evidence.continuation import study
from analysis.figures.complexity import plot_speed, speed_info
from analysis.figures.construction import (
    construction_info,
    given,
    kept_words,
    plot_construction,
)
from analysis.figures.depth import depth_info, gap_info, gap_words, missing_nets, plot_depth
from analysis.figures.diagram import diagram_info, plot_diagram
from analysis.figures.identity import plot_layers, plot_losses
from analysis.figures.sentences import of_depth
from analysis.figures.theme import kind_colour
from analysis.figures.verdicts import numbers_info, numbers_words, plot_numbers
from analysis.runs import load_run, open_writer
from analysis.runs.tables import names
from analysis.specs import NetSpec
from tests.tiny import write_run


def made(folder, net, train, seed=0):
    path = write_run(folder, net, seed=seed)
    with open_writer(path) as writer:
        writer.set_status(train_error_clean=train, test_error=train + 2)
    return load_run(path)


def test_depth_has_means_ranges_and_signed_gaps(tmp_path):
    """Two seeds of plain-8 at 4 and 6; plain-14 at 8: degradation by 3 points."""
    runs = [made(tmp_path, "plain-8", 4.0), made(tmp_path, "plain-8", 6.0, seed=1)]
    runs += [made(tmp_path, "plain-14", 8.0)]
    runs += [made(tmp_path, "resnet-8", 5.0), made(tmp_path, "resnet-14", 3.5)]
    info = depth_info(runs)
    row = info[(info["net"] == "plain-8") & (info["measure"] == "train")].iloc[0]
    assert (row["error"], row["low"], row["high"], row["seeds"]) == (5.0, 4.0, 6.0, 2)
    gaps = gap_info(info)
    assert gaps[["kind", "shallow", "deep", "gap"]].values.tolist() == [
        ["plain", "plain-8", "plain-14", 3.0],
        ["residual", "resnet-8", "resnet-14", -1.5],
    ]
    assert gap_words(gaps) == [
        "plain-14 minus plain-8: +3.00 points of training error (seeds are 2.00 apart)",
        "resnet-14 minus resnet-8: −1.50 points of training error (one seed each)",
    ]
    figure = plot_depth(info)
    assert len(figure.data) == 4
    assert [note.text for note in figure.layout.annotations] == ["residual", "plain"]  # at the ends
    colours = {trace.name: trace.line.color for trace in figure.data}
    assert colours["plain, training"] == colours["plain, test"] == kind_colour("plain")
    bars = next(trace for trace in figure.data if trace.name == "plain, training").error_y
    assert (bars.visible, list(bars.array), list(bars.arrayminus)) == (True, [1, 0], [1, 0])
    assert figure.layout.yaxis.title.text == "Error (%)"


def test_options_are_named_in_the_depth_figure(tmp_path):
    """A, B and C are lines of their own, and no two are called alike; a single net is tied to its
    point, so that its name is taken for no other's."""
    nets = ("plain-8", "resnet-8", "resnet-8-B", "resnet-8-C", "resnet-14")
    figure = plot_depth(depth_info([made(tmp_path, net, 5.0) for net in nets]))
    notes = {note.text: note for note in figure.layout.annotations}
    assert sorted(notes) == ["plain-8", "residual", "resnet-8-B", "resnet-8-C"]
    assert not notes["residual"].showarrow
    tied = [notes[name] for name in ("plain-8", "resnet-8-B", "resnet-8-C")]
    assert all((note.showarrow, note.x, note.y, note.yref) == (True, 8, 5, "y") for note in tied)
    assert len({note.ay for note in tied}) == 3
    assert notes["resnet-8-B"].arrowcolor == kind_colour("residual")


def test_depths_that_lie_together_share_a_number(tmp_path):
    """32 and 34 would be one word on a phone: the depth with more nets has it."""
    nets = ("plain-20", "plain-32", "resnet-32", "plain-34-w16", "resnet-110")
    figure = plot_depth(depth_info([made(tmp_path, net, 5.0) for net in nets]))
    assert figure.layout.xaxis.tickvals == (20, 32, 110)


def test_the_sentence_above_the_depth_figure_is_its_numbers(tmp_path):
    """Shallowest and deepest net of each kind."""
    errors = {"plain-8": 4.0, "plain-14": 8.0, "resnet-8": 5.0, "resnet-14": 3.5}
    said = of_depth(depth_info([made(tmp_path, net, e) for net, e in errors.items()]))
    assert said == (
        "From plain-8 to plain-14 training error goes from 4.00 % to 8.00 % in plain nets; "
        "from resnet-8 to resnet-14 from 5.00 % to 3.50 % in residual nets."
    ).replace(" %", "\u00a0%")  # so that a sign is on the line of its number
    assert of_depth(depth_info([])) == ""


def test_a_verdicts_picture_and_table_have_its_numbers(tmp_path):
    """Of the degradation claim: two plain nets, one with two seeds."""
    runs = [made(tmp_path, "plain-8", 4.0), made(tmp_path, "plain-8", 6.0, seed=1)]
    runs.append(made(tmp_path, "plain-14", 8.0))
    verdict = next(v for c, v in evaluate(runs) if c.id == "degradation")
    table = numbers_words(verdict)
    assert table.values.tolist() == [
        ["plain-8", "5.00", "4.00 to 6.00", "2"],
        ["plain-14", "8.00", "–", "1"],
    ]
    figure = plot_numbers(numbers_info(verdict), "Training error (%)")
    (line,) = figure.data
    assert list(line.y) == [5.0, 8.0]
    assert figure.layout.xaxis.ticktext == ("8", "14")
    names = [note.text for note in figure.layout.annotations]
    assert names == ["plain", "Training error (%)"]


def test_a_net_of_another_width_is_not_named_like_the_line(tmp_path):
    """Nor is an outlier's axis without numbers: one, two and five of each decade."""
    runs = [made(tmp_path, "plain-8", 1.5), made(tmp_path, "plain-14", 3.0)]
    runs += [made(tmp_path, "plain-20", 70.0), made(tmp_path, "plain-14-w8", 2.0)]
    verdict = next(v for c, v in evaluate(runs) if c.id == "degradation")
    assert {one.net.name for one in verdict.numbers} >= {"plain-20", "plain-8"}
    figure = plot_numbers(numbers_info(verdict), "Training error (%)")
    names = [note.text for note in figure.layout.annotations]
    assert names == ["plain", "Training error (%)"]
    assert list(figure.layout.yaxis.tickvals) == [2, 5, 10, 20, 50]


def test_a_gap_within_the_spread_says_so(tmp_path):
    """Seeds 2 apart, depths 1 apart."""
    runs = [made(tmp_path, "plain-8", 4.0), made(tmp_path, "plain-8", 6.0, seed=1)]
    words = gap_words(gap_info(depth_info([*runs, made(tmp_path, "plain-14", 6.0)])))
    assert words == [
        "plain-14 minus plain-8: +1.00 points of training error (no more than the 2.00 between "
        "seeds)"
    ]


def test_the_missing_nets_complete_the_papers_depths(tmp_path):
    """Of the family and width there are; without runs the CIFAR nets of Table 6."""
    runs = [made(tmp_path, net, 4.0) for net in ("plain-34-w8", "resnet-18-w8")]
    assert missing_nets(depth_info(runs)) == ["plain-18-w8", "resnet-34-w8"]
    assert missing_nets(depth_info([])) == [
        f"{kind}-{depth}" for depth in (20, 32, 44, 56) for kind in ("plain", "resnet")
    ]


def test_without_runs_the_figure_says_why():
    """No traces, a sentence."""
    figure = plot_depth(depth_info([]))
    assert len(figure.data) == 0
    assert "No finished run" in figure.layout.annotations[0].text


def test_the_diagram_is_figure_3s():
    """ResNet-34: 34 boxes, 16 shortcuts of which 3 dotted; plain-34 has the boxes alone."""
    info = diagram_info(NetSpec.parse("resnet-34-imagenet", 1000))
    assert (info["element"] == "layer").sum() == 34
    assert info["line"].value_counts().to_dict() == {"": 34, "solid": 13, "dot": 3}
    assert info["text"].iloc[0] == "7x7 conv, 64, /2"
    plain = diagram_info(NetSpec.parse("plain-34-imagenet", 1000))
    pd.testing.assert_frame_equal(plain, info[info["element"] == "layer"])
    assert len(plot_diagram(info, "ResNet-34").layout.shapes) == 34 + 16


def test_speed_has_the_rate_of_each_net():
    """1 image in 10 ms of ResNet-20's 40.55 M multiply-adds: 4.06 billion a second."""
    times = pd.DataFrame(
        [("resnet-20", 32, "inference", 1, 10.0, 9.0, 12.0, 100.0, 5, "cpu", 1, "a CPU", "2")],
        columns=["net", "image_size", "mode", "batch", "median_ms", "low_ms", "high_ms",
                 "images_per_second", "repeats", "device", "threads", "machine", "torch"],
    )  # fmt: skip
    info = speed_info(times, "inference", 1)
    assert round(info["rate"].iloc[0], 4) == 4.0551
    trace = plot_speed(info).data[0]
    assert (trace.y[0], trace.error_y.array[0], trace.error_y.arrayminus[0]) == (10, 2, 1)


def test_identity_curves_and_floor():
    """A line a net, and the ReLU's floor only where there is one."""
    losses = pd.DataFrame({"kind": ["plain", "residual"], "step": 0, "loss": [1.0, 2.0]})
    assert len(plot_losses(losses, 0.0, 10).data) == 2
    assert len(plot_losses(losses, 0.5, 10).data) == 3
    layers = pd.DataFrame(
        {"kind": "plain", "step": [0, 10], "layer": 1, "gradient_norm": 1.0, "dirac_distance": 0.5}
    )
    assert plot_layers(layers, "dirac_distance").layout.yaxis.title.text == (
        "Distance from a Dirac kernel"
    )


def constructed(folder, net, built="", **rest):
    """A run of a net that was made of plain-8: as it was made, or trained on for 3 epochs."""
    path = write_run(folder, net, **rest)
    config = json.loads((path / "config.json").read_text())
    recipe = config["recipe"]
    shallow = "2026-11-24_plain-8_quick-e3_s0_tiny"
    config["origin"] = {"kind": "construction", "from": shallow, "net": "plain-8", "recipe": recipe}
    config["origin"]["errors"] = {"train": 5.0, "test": 7.0}
    if built:
        config["origin"]["built"] = built
    else:
        config["recipe"] = None
        rows = {"epoch": [0], "iteration": [0], "train_error_clean": [5.0], "test_error": [7.0]}
        table = pd.DataFrame(rows).reindex(columns=names("history"))
        table.to_csv(path / "history.csv", index=False)
        responses = pd.read_csv(path / "responses.csv").query("source == 'measured'")
        responses.assign(epoch=0).to_csv(path / "responses.csv", index=False)
        status = json.loads((path / "status.json").read_text())
        (path / "status.json").write_text(json.dumps({**status, "epoch": 0}))
    (path / "config.json").write_text(json.dumps(config))
    return load_run(path)


def test_the_study_of_a_constructed_net_begins_at_the_shallower_ones_error(tmp_path):
    """Levels at 5 and 7 %, epoch 0 on them, three epochs of both deeper runs; then the verdict."""
    shallow = made(tmp_path, "plain-8", 5.0)
    built = constructed(tmp_path, "plain-14", run_id="built")
    on = constructed(tmp_path, "plain-14", built="built", run_id="on")
    scratch = made(tmp_path, "plain-14", 8.0)
    other = made(tmp_path, "plain-20", 8.0)
    found = study(built, [shallow, built, on, scratch, other])
    assert (found.shallow, found.trained_on, found.scratch) == (shallow, [on], [scratch])
    info = construction_info(found)
    at = info.set_index(["series", "epoch", "measure"])["error"]
    assert at["shallow", 3, "clean"] == at["constructed", 0, "clean"] == given(info) == 5.0
    assert at["shallow", 3, "test"] == at["constructed", 0, "test"] == 7.0
    assert sorted(at["scratch"].index) == [
        (1, "running"), (1, "test"), (2, "running"), (2, "test"), (3, "clean"), (3, "running"),
        (3, "test"),
    ]  # fmt: skip
    figure = plot_construction(info)
    level, *_rest = figure.data
    assert (list(level.x), list(level.y)) == ([0, 3], [5.0, 5.0])
    assert [t.name for t in figure.data if t.showlegend] == [
        "plain-8 at its end, training", "plain-14, constructed", "plain-14, from scratch",
    ]  # fmt: skip
    end = on.history()["train_error_clean"].iloc[-1]
    assert kept_words(info, {})[:2] == [
        "Given: 5.00 % training error at epoch 0",
        f"Trained on: {end:.2f} %, not kept (above what was given): on",
    ]
    words = kept_words(info, {scratch.id: "plain-14 from scratch"})[2]
    assert words.startswith("From scratch: ")
    assert words.endswith(": plain-14 from scratch")


def test_a_constructed_net_alone_has_a_figure_too(tmp_path):
    """Epoch 0 and no curve, before anything was trained; the shallower run may be gone."""
    info = construction_info(study(constructed(tmp_path, "plain-14", run_id="built"), []))
    rows = [["clean", 5], ["test", 7]]
    assert info[["measure", "error"]].values.tolist() == rows + rows
    assert len(plot_construction(info).data) == 4
