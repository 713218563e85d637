"""What `auto` becomes on this machine: `pytest tests/training/test_hardware.py`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from analysis.errors import SpecError
from analysis.specs import Compute, DataSpec, NetSpec, Recipe
from analysis.training.hardware import COMPILING_PAYS, resolve, with_safe_layout
from analysis.training.loop import train_run
from analysis.training.prepare import prepare_run

COMPILER = bool(shutil.which("c++") or shutil.which("g++") or shutil.which("clang++"))


def test_what_was_chosen_stays():
    """Nothing that somebody asked for is replaced."""
    asked = Compute("cpu", "float32", True, channels_last=False, threads=1, cuda_graph=False)
    assert resolve(asked) == asked


@pytest.mark.parametrize(
    ("precision", "images", "compiled"),
    [
        ("bfloat16", COMPILING_PAYS, COMPILER),
        ("bfloat16", COMPILING_PAYS - 1, False),
        ("float32", 10 * COMPILING_PAYS, False),
    ],
)
def test_compiling_is_for_long_trainings_in_bfloat16(precision, images: int, compiled: bool):
    """A short training would wait longer for the compiler than it gains."""
    assert resolve(Compute("cpu", precision), images).compile is compiled


def test_bfloat16_only_where_the_processor_multiplies_it():
    """Elsewhere it is ten times slower than float32."""
    capable = torch.cpu.get_capabilities()
    has = any(capable.get(name) for name in ("amx_bf16", "avx512_bf16", "sve_bf16"))
    assert resolve(Compute("cpu")).precision == ("bfloat16" if has else "float32")


def test_a_device_that_is_not_here_is_named_with_those_that_are():
    """cuda:7 on a machine without it."""
    with pytest.raises(SpecError, match=r"no device 'cuda:77' here; there are: .*cpu"):
        resolve(Compute("cuda:77"))


@pytest.mark.parametrize(
    ("net", "device", "expected"),
    [
        ("preresnet-8-w4-B", "cpu", False),
        ("resnet-8-w4-C", "auto", False),
        ("resnet-8-w4", "cpu", True),  # no projection
        ("resnet-20-B", "cpu", True),  # as many channels as a vector has numbers
        ("resnet-8-w4-B", "cuda", True),
    ],
)
def test_narrow_strided_projections_are_kept_from_nhwc_on_a_cpu(net, device, expected):
    """There oneDNN writes past the end of its memory: a training crashes, hangs or is wrong."""
    asked = Compute(device, channels_last=True)
    assert with_safe_layout(asked, NetSpec.parse(net)).channels_last is expected


@pytest.mark.trains
def test_narrow_projections_have_the_gradients_of_the_reference(tmp_path: Path):
    """Asked for NHWC, a training of such a net gives what NCHW gives."""
    losses = []
    for layout in (True, False):
        compute = Compute("cpu", "float32", compile=False, channels_last=layout)
        recipe = Recipe.parse("quick", epochs=1, train_images=128, test_images=64)
        path = prepare_run(
            tmp_path / str(layout), NetSpec.parse("preresnet-8-w4-B"), recipe,
            DataSpec.parse("digits"), compute=compute,
        )  # fmt: skip
        losses.append(train_run(path).history()["train_loss"].to_numpy())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
