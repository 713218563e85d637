"""What `auto` becomes on this machine: `pytest tests/training/test_hardware.py`."""

from __future__ import annotations

import shutil

import pytest
import torch

from analysis.errors import SpecError
from analysis.specs import Compute
from analysis.training.hardware import COMPILING_PAYS, resolve

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
