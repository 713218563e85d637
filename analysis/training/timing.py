"""A few timed steps of a net on random images: how fast this machine trains it, and in what memory.

Run as `python -m analysis.training.timing JSON` by `jobs.estimate`, so that a page need not load
torch. Compiling is left out: it takes longer than the steps, and the rate is then too low,
never too high.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional as F

from analysis.jobs.processes import peak_memory_mb
from analysis.nets import build
from analysis.specs import Compute, NetSpec
from analysis.training.hardware import resolve, with_safe_layout
from analysis.training.sgd import SGD


def time_steps(net: NetSpec, batch_size: int, compute: Compute, seconds: float) -> dict[str, Any]:
    """Images a second, and what computed them.

    Args:
        net: the net.
        batch_size: images an update.
        compute: as asked; `auto` is resolved for this machine.
        seconds: how long to look, at least one step after one to warm up.
    """
    resolved = with_safe_layout(resolve(replace(compute, compile=False)), net)
    torch.set_num_threads(resolved.threads or 1)
    device = torch.device(resolved.device)
    layout = torch.channels_last if resolved.channels_last else torch.contiguous_format
    model = build(net, 0).to(device).to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = SGD(model, 0.01, momentum=0.9)
    size = net.image_size
    images = torch.randn(batch_size, 3, size, size, device=device).to(memory_format=layout)
    labels = torch.randint(net.classes, (batch_size,), device=device)

    def step() -> float:
        with torch.autocast(device.type, torch.bfloat16, enabled=resolved.precision == "bfloat16"):
            logits = model(images).float()
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())  # waits for the device

    step()
    began, steps = time.perf_counter(), 0
    while steps == 0 or time.perf_counter() - began < seconds:
        step()
        steps += 1
    return {
        "images_per_second": steps * batch_size / (time.perf_counter() - began),
        "memory_mb": peak_memory_mb(),
        "device": resolved.device,
        "precision": resolved.precision,
        "threads": resolved.threads,
    }


def main() -> None:
    """Read what to time from the first argument, print what was found as JSON."""
    asked = json.loads(sys.argv[1])
    found = time_steps(
        NetSpec.from_dict(asked["net"]),
        asked["batch_size"],
        Compute.from_dict(asked["compute"]),
        asked["seconds"],
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
