"""Which of several GPUs a training gets: the one with the fewest, so that each is in use.

A training sees its own GPU alone (`CUDA_VISIBLE_DEVICES`), which torch then calls `cuda:0`, so it
goes on on any of them. Torch-free: the driver's own tool is asked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import psutil

from analysis.specs import Compute

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""In the environment of a process: the GPUs that it sees."""


@cache
def gpus() -> tuple[str, ...]:
    """The NVIDIA GPUs that trainings may use, by what `CUDA_VISIBLE_DEVICES` calls them."""
    return visible_gpus(os.environ, tuple(_listed()))


def gpu_memory(device: str) -> int:
    """Bytes of a GPU's memory, of the smallest where it is named by another name than the driver's;
    0 where the driver does not say, as of a part of a GPU (MIG)."""
    known = _listed()
    return 0 if device.startswith("MIG-") else known.get(device, min(known.values(), default=0))


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


@cache
def _listed() -> dict[str, int]:
    """Bytes of memory by UUID, since CUDA counts GPUs in another order than the driver's tool."""
    tool = shutil.which("nvidia-smi")
    if not tool:
        return {}
    command = [tool, "--query-gpu=uuid,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return told_by_driver(done.stdout) if done.returncode == 0 else {}


def told_by_driver(said: str) -> dict[str, int]:
    """Bytes of memory by UUID; 0 where the driver says none, as of a GPU that shares the host's.

    Args:
        said: a line per GPU, `GPU-1fe2..., 81559`, in MiB.
    """
    found = {}
    for line in filter(None, map(str.strip, said.splitlines())):
        name, comma, mebibytes = line.partition(",")
        if comma:  # "No devices were found" is no device
            found[name.strip()] = int(mebibytes) * 2**20 if mebibytes.strip().isdecimal() else 0
    return found


@dataclass(frozen=True)
class Placed:
    """A training that has a GPU."""

    gpu: str
    """Empty where it has none."""
    needs: int
    """Bytes of memory, about."""


def gpu_for(
    compute: Compute,
    needs: int,
    devices: Sequence[str],
    placed: Sequence[Placed],
    memory_of: Callable[[str], int] = gpu_memory,
) -> str | None:
    """The GPU that a training gets: that with the fewest, of those with memory for one more.

    Args:
        compute: as its config has it. `cpu` and `mps` get none, nor does `cuda:1` or higher, which
            names one of all.
        needs: bytes of memory, about.
        devices: all, as `gpus` gives them.
        placed: the trainings under way.
        memory_of: bytes of a GPU; 0: not known, and as many as are asked for share it.

    Returns:
        Empty where it gets none of its own; None where it has to wait, since no GPU has room beside
        the trainings there. One that nobody trains on takes any: its trainer says what it lacks.
    """
    if not devices or compute.device not in ("auto", "cuda", "cuda:0"):
        return ""
    beside = {gpu: [one.needs for one in placed if one.gpu == gpu] for gpu in devices}
    roomy = [
        gpu for gpu, others in beside.items()
        if not others or not memory_of(gpu) or sum(others) + needs <= memory_of(gpu)
    ]  # fmt: skip
    return min(roomy, key=lambda gpu: len(beside[gpu]), default=None)


def gpu_of(pid: int | None) -> str:
    """The GPU that a process was given; empty where it was given none, or can't be asked."""
    if pid is None:
        return ""
    try:
        return psutil.Process(pid).environ().get(VISIBLE, "")
    except (psutil.Error, OSError):
        return ""


def gpu_used(pid: int | None, compute: Compute, devices: Sequence[str]) -> str:
    """The GPU that a training is on, in somebody's terminal, too; empty where it is on none.

    Args:
        pid: its process, whose environment may name what it sees: all, else.
        compute: as its config has it.
        devices: all, as `gpus` gives them. Where a GPU is named by its number, that counts in this
            order, which is CUDA's where all are of one kind.
    """
    kind, _colon, number = compute.device.partition(":")
    named = [name.strip() for name in gpu_of(pid).split(",") if name.strip()]
    seen = [_device(name, devices) for name in named] or devices
    at = int(number or 0)
    return seen[at] if kind in ("auto", "cuda") and at < len(seen) else ""


def _device(name: str, devices: Sequence[str]) -> str:
    """What a name in `CUDA_VISIBLE_DEVICES` means: an id, the beginning of one, a number."""
    alike = [device for device in devices if device.startswith(name)]
    if name in devices or not (alike or name.isdecimal()):
        return name
    return alike[0] if alike else "".join(devices[int(name) : int(name) + 1])
