"""What nets cost: the paper's counts, autograd's own memory, times with their spread."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from analysis.errors import RunDamaged, SpecError
from analysis.lens.complexity import build_timed, measure_times, saved_bytes
from analysis.runs.times import TIME_COLUMNS, read_times, write_times
from analysis.specs.costs import (
    CIFAR_NETS,
    PAPER_NETS,
    activation_bytes,
    complexity_info,
    layers_info,
)

PAPER = {
    "vgg-19": 19.6, "plain-34-imagenet": 3.6, "resnet-34-imagenet": 3.6,
    "resnet-18-imagenet": 1.8, "resnet-50-imagenet": 3.8, "resnet-101-imagenet": 7.6,
    "resnet-152-imagenet": 11.3,
}  # fmt: skip


def test_multiply_adds_are_the_papers():
    """Section 3.3, Fig. 3, Table 1, in billions as printed; Table 1 cuts ResNet-50's 3.86 to 3.8.

    "Our 34-layer baseline has 3.6 billion FLOPs, which is only 18% of VGG-19": cut, not rounded.
    """
    info = complexity_info(PAPER_NETS).set_index("net")
    found = {net: round(n / 1e9, 1) for net, n in info["multiply_adds"].items()}
    assert found == PAPER | {"resnet-50-imagenet": 3.9}
    assert int(info.loc["resnet-50-imagenet", "multiply_adds"] / 1e8) == 38
    for net in ("plain-34-imagenet", "resnet-34-imagenet"):
        assert int(100 * info.loc[net, "vgg19_share"]) == 18


def test_vgg19_is_torchvisions():
    """Parameters and multiply-adds of the layer list against torch's own counter."""
    from torch.utils.flop_counter import FlopCounterMode

    info = complexity_info(["vgg-19"]).iloc[0]
    with torch.device("meta"):
        net = build_timed("vgg-19")
        with FlopCounterMode(display=False) as counter:
            net(torch.empty(1, 3, 224, 224))
    assert info["parameters"] == sum(p.numel() for p in net.parameters())
    assert info["multiply_adds"] == counter.get_total_flops() / 2


def test_layers_add_up():
    """A net's total is the sum over its layers."""
    total = complexity_info(["resnet-20"]).iloc[0]
    layers = layers_info("resnet-20")
    assert layers["multiply_adds"].sum() == total["multiply_adds"] == 40_551_040
    assert layers["parameters"].sum() == total["parameters"] == 269_722


@pytest.mark.parametrize(
    "name",
    ["plain-20", "resnet-20", "resnet-8-B", "resnet-8-C", "resnet-18-w8", "resnet-50-w8",
     "preresnet-20", "preresnet-8-B", "preresnet-8-C-raw", "preresnet-50-w8-nofinal"],
)  # fmt: skip
def test_activation_memory_is_what_autograd_keeps(name):
    """The closed form against the bytes of the tensors saved for the backward pass."""
    net = build_timed(name)
    assert saved_bytes(net, torch.randn(4, 3, 32, 32)) == 4 * activation_bytes(name)


@pytest.mark.parametrize("name", ["resnet-18-w8-imagenet", "preresnet-18-w8-imagenet"])
def test_activation_memory_with_the_imagenet_stem(name):
    """With a max-pool and its indices."""
    net = build_timed(name)
    found = saved_bytes(net, torch.randn(2, 3, 224, 224))
    assert found == 2 * activation_bytes(name)


def test_activation_memory_of_vgg19():
    """75 MiB an image: what autograd keeps of torchvision's, masks of dropout and all."""
    found = saved_bytes(build_timed("vgg-19"), torch.randn(1, 3, 224, 224))
    assert found == activation_bytes("vgg-19") == 78_573_568
    assert complexity_info(["vgg-19"])["activation_bytes"].tolist() == [found]


ROW = ("resnet-20", 32, "inference", 1, 10.0, 9.0, 12.0, 100.0, 5, "cpu", 1, "a CPU", "2")


def test_measured_times_are_kept_and_read_back(tmp_path):
    """In a folder that is made for them."""
    table = pd.DataFrame([ROW], columns=list(TIME_COLUMNS))
    path = tmp_path / "runs" / "times.csv"
    write_times(table, path)
    assert read_times(path)[["net", "median_ms"]].values.tolist() == [["resnet-20", 10.0]]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "No columns to parse from file"),
        ("net,mode\nresnet-20,training\n", "it has no column image_size, batch, median_ms"),
        (",".join(TIME_COLUMNS) + "\n", "it has no rows"),
        ("\x00\x01\x02,\n", "it has no column net"),
    ],
)
def test_a_damaged_file_of_times_says_so(text, problem, tmp_path):
    """Empty, cut off, without rows, not text at all."""
    (tmp_path / "times.csv").write_text(text)
    with pytest.raises(RunDamaged, match=r"times\.csv is no table of measured times: ") as error:
        read_times(tmp_path / "times.csv")
    assert problem in str(error.value)
    assert str(error.value).endswith("Measure again or delete it.")


@pytest.mark.parametrize(
    ("column", "value"),
    [("median_ms", "soon"), ("batch", -1), ("mode", "guessing"), ("net", "vgg-16"),
     ("images_per_second", float("inf")), ("low_ms", None)],
)  # fmt: skip
def test_a_wrong_cell_of_the_times_is_named(column, value, tmp_path):
    """Words for numbers, numbers that can't be, modes and nets that are none."""
    table = pd.DataFrame([ROW, ROW], columns=list(TIME_COLUMNS)).astype(object)
    table.loc[1, column] = value
    table.to_csv(tmp_path / "times.csv", index=False)
    with pytest.raises(RunDamaged, match=f"in column {column}"):
        read_times(tmp_path / "times.csv")


def test_times_have_a_spread_and_their_conditions():
    """Every case once, quartiles around the median, images a second from it, machine named."""
    told = []
    table = measure_times(
        ["plain-8-w4", "resnet-8-w4"], batches=(1, 4), seconds=0.02,
        progress=lambda *at: told.append(at),
    )  # fmt: skip
    assert tuple(table.columns) == TIME_COLUMNS
    assert list(zip(table["net"], table["mode"], table["batch"], strict=True)) == [
        (net, mode, batch)
        for net in ("plain-8-w4", "resnet-8-w4")
        for mode, batch in (("inference", 1), ("inference", 4), ("training", 4))
    ]
    assert (table["low_ms"] <= table["median_ms"]).all()
    assert (table["median_ms"] <= table["high_ms"]).all()
    assert (table["repeats"] >= 5).all()
    assert table["images_per_second"].tolist() == pytest.approx(
        (1000 * table["batch"] / table["median_ms"]).tolist()
    )
    assert told[0] == (0, 6, "plain-8-w4, inference, batch 1")
    assert told[-1] == (6, 6, "")


def test_an_unknown_net_is_named():
    """The message lists nets and VGG-19."""
    with pytest.raises(SpecError, match=r"'vgg-16' is not a net's name\..* also vgg-19\."):
        complexity_info(["vgg-16"])


def test_the_lists_are_nets():
    """All nets that the page shows can be built by name."""
    assert len(complexity_info([*PAPER_NETS, *CIFAR_NETS])) == 14
