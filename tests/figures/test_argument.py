"""Figures of the paper's argument: exact tables, and drawings that hold them."""

from __future__ import annotations

import pandas as pd

from analysis.figures.complexity import plot_speed, speed_info
from analysis.figures.depth import depth_info, gap_info, gap_words, missing_nets, plot_depth
from analysis.figures.diagram import diagram_info, plot_diagram
from analysis.figures.identity import plot_layers, plot_losses
from analysis.runs import load_run, open_writer
from analysis.spec import NetSpec
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
        "resnet-14 minus resnet-8: -1.50 points of training error (one seed each)",
    ]
    figure = plot_depth(info)
    assert len(figure.data) == 4
    bars = next(trace for trace in figure.data if trace.name == "plain, training").error_y
    assert (bars.visible, list(bars.array), list(bars.arrayminus)) == (True, [1, 0], [1, 0])
    assert figure.layout.yaxis.title.text == "Error (%)"


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
