"""Which device, precision and layout to compute with, and what to tell of machine and versions.

The automatic choices follow measurements (tests/benchmarks, README): bfloat16 is 1.5 to 4 times
as fast as float32 on CPUs that multiply it in hardware and ten times slower on those that don't.
"""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import shutil
from dataclasses import replace
from typing import Any

import torch

from analysis.errors import SpecError
from analysis.specs import Compute, NetSpec, plan

_BF16_CAPABILITIES = ("amx_bf16", "avx512_bf16", "sve_bf16")


COMPILING_PAYS = 300_000
"""Images in a training from which torch.compile is worth its start.

Measured on two cores with AVX512-BF16 (resnet-20): compiling takes 33 s and makes an update 20 to
25 % faster, which is even after some 150,000 images; both grow with depth alike.
"""


def resolve(compute: Compute, images: float = math.inf) -> Compute:
    """Every `auto` replaced by the choice for this machine, so that a resume computes the same.

    Args:
        compute: what was asked for.
        images: how many the training will see in all, an image counting once an epoch.

    Raises:
        SpecError: there is no such device here; the message lists those there are.
    """
    device = _device(compute.device)
    precision = compute.precision
    if precision == "auto":
        precision = "bfloat16" if _multiplies_bfloat16(device) else "float32"
    graph, compiled = compute.cuda_graph, compute.compile
    if graph is None:
        graph = device.type == "cuda" and not compiled and int(os.environ.get("WORLD_SIZE", 1)) == 1
    if compiled is None:
        # In float32 the convolutions take the time; compiling gains less than it costs.
        pays = precision == "bfloat16" and images >= COMPILING_PAYS and not graph
        compiled = pays and _has_compiler()
    channels_last = True if compute.channels_last is None else compute.channels_last
    threads = compute.threads or torch.get_num_threads()
    return replace(
        compute, device=str(device), precision=precision, compile=compiled,
        channels_last=channels_last, threads=threads, cuda_graph=graph,
    )  # fmt: skip


def with_safe_layout(compute: Compute, net: NetSpec) -> Compute:
    """The same in NCHW where NHWC would overwrite foreign memory.

    oneDNN's gradient of a strided 1x1 convolution's weights needs as many channels as its vectors
    have numbers, 16 at most; with fewer in NHWC it is wrong, hangs or crashes
    (https://github.com/uxlfoundation/oneDNN/issues/6035).
    """
    narrow = any(
        layer.kernel == 1 and layer.stride > 1 and layer.c_in < 16 for layer in plan.layers(net)
    )
    on_cpu = compute.device.partition(":")[0] in ("cpu", "auto")
    return replace(compute, channels_last=False) if narrow and on_cpu else compute


def resolve_here(compute: Compute) -> Compute:
    """The same where its device is here, so that it computes the same bits; else this machine's."""
    try:
        return resolve(compute)
    except SpecError:
        return resolve(replace(compute, device="auto", cuda_graph=None))


def _device(name: str) -> torch.device:
    found = ["cpu"]
    if torch.cuda.is_available():
        found = [f"cuda:{i}" for i in range(torch.cuda.device_count())] + found
    elif torch.backends.mps.is_available():
        found = ["mps", *found]
    if name == "auto":
        return torch.device(found[0])
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in found:
        raise SpecError(
            "no device {name!r} here; there are: {found}", name=name, found=", ".join(found)
        )
    return torch.device(wanted)


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in _BF16_CAPABILITIES)
    return False


def _has_compiler() -> bool:
    return any(shutil.which(name) for name in (os.environ.get("CXX") or "c++", "g++", "clang++"))


def describe_machine(device: str) -> dict[str, Any]:
    """Processor, cores, operating system and, if one computes, the GPU; no host or user names."""
    machine = {
        "cpu": torch.cpu.get_capabilities().get("cpu_name") or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    if device.startswith("cuda"):
        machine["gpu"] = torch.cuda.get_device_name(torch.device(device))
    return machine


def describe_versions() -> dict[str, str]:
    """Python's and the versions of the libraries that decide the numbers."""
    from analysis import __version__

    versions = {"residual-lens": __version__, "python": platform.python_version()}
    for name in ("torch", "numpy"):
        versions[name] = importlib.metadata.version(name)
    return versions
