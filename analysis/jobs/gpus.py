"""Which of several GPUs a training gets: the one with the fewest, so that each is in use.

A training sees its own GPU alone (`CUDA_VISIBLE_DEVICES`), which torch then calls `cuda:0`, so it
goes on on any of them. Torch-free: the driver's own tool is asked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import psutil

from analysis.specs import Compute

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""In the environment of a process: the GPUs that it sees."""


@cache
def gpus() -> tuple[str, ...]:
    """The NVIDIA GPUs that trainings may use, by what `CUDA_VISIBLE_DEVICES` calls them."""
    return visible_gpus(os.environ, _listed())


def visible_gpus(environment: Mapping[str, str], listed: Sequence[str]) -> tuple[str, ...]:
    """Those of a machine that an environment lets a process see.

    Args:
        environment: of this process, where `CUDA_VISIBLE_DEVICES` may leave some out, or all.
        listed: ids of all that the machine has.
    """
    if not listed or VISIBLE not in environment:
        return tuple(listed)
    named = []
    for name in environment[VISIBLE].split(","):
        if not name.strip() or name.strip().startswith("-"):
            break  # as CUDA reads it: what follows is not seen
        named.append(name.strip())
    return tuple(named)


def _listed() -> list[str]:
    """By UUID, since CUDA counts GPUs in another order than the driver's tool."""
    tool = shutil.which("nvidia-smi")
    if not tool:
        return []
    command = [tool, "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split() if done.returncode == 0 else []


def gpu_for(compute: Compute, devices: Sequence[str], taken: Iterable[str]) -> str:
    """The GPU that a training gets; empty where it gets none of its own.

    Args:
        compute: as its config has it. `cpu` and `mps` get none, nor does `cuda:1` or higher, which
            names one of all.
        devices: all, as `gpus` gives them.
        taken: those of the trainings under way, one each.
    """
    if not devices or compute.device not in ("auto", "cuda", "cuda:0"):
        return ""
    busy = list(taken)
    return min(devices, key=busy.count)


def gpu_of(pid: int | None) -> str:
    """The GPU that a process was given; empty where it was given none, or can't be asked."""
    if pid is None:
        return ""
    try:
        return psutil.Process(pid).environ().get(VISIBLE, "")
    except (psutil.Error, OSError):
        return ""
