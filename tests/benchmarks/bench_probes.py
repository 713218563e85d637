"""What recording over training costs: the probes' share of a training's time, on random images.

    python tests/benchmarks/bench_probes.py [--nets resnet-20,resnet-56] [--device auto]

Updates and probes are timed in turns in one process, so that their ratio holds on a busy machine
too. A training by `short` on 50,000 images is then 391 updates and one probe per epoch, and nine
probes more in the first.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from bench_gpu import random_images

from analysis.nets import build
from analysis.responses.probe import PROBE_IMAGES, probe
from analysis.runs import RunConfig
from analysis.specs import Compute, DataSpec, NetSpec, Recipe
from analysis.training.distributed import World
from analysis.training.hardware import resolve
from analysis.training.updates import Updates

UPDATES, EPOCHS, EARLY = 391, 30, 9


def seconds(work) -> float:
    """One call, the device's work included."""
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def bench(net: str, device: str, rounds: int) -> tuple[float, float]:
    """Median seconds of an update and of a probe."""
    compute = resolve(Compute(device, compile=False))
    images, place = random_images(4096), torch.device(compute.device)
    config = RunConfig(
        NetSpec.parse(net), Recipe.parse("short"), DataSpec("cifar10"), None, 0, compute, ""
    )
    model = build(config.net, 0).to(place)
    if compute.channels_last:
        model = model.to(memory_format=torch.channels_last)
    updates = Updates(model.train(), config, images, World(), place)
    updates.begin_epoch(0)
    looked = updates.train[:PROBE_IMAGES]
    for step in range(5):
        updates.update(step, 0.01)
    found: dict[str, list[float]] = {"update": [], "probe": []}
    for turn in range(rounds):
        found["update"].append(seconds(lambda t=turn: updates.update(t % 30, 0.01)))
        found["probe"].append(seconds(lambda: probe(model, looked, updates.normalizer, 1, 1)))
    return statistics.median(found["update"]), statistics.median(found["probe"])


def main() -> None:
    """Print a line a net."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", default="resnet-20,resnet-56")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    for net in given.nets.split(","):
        update, look = bench(net, given.device, given.rounds)
        share = look * (EPOCHS + EARLY) / (EPOCHS * UPDATES * update)
        print(
            f"{net}: an update {update * 1e3:.1f} ms, a probe {look * 1e3:.0f} ms: "
            f"{share:.2%} of a training by `short`",
            flush=True,
        )


if __name__ == "__main__":
    main()
