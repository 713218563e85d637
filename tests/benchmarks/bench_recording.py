"""What a measuring pass with hooks costs beside the forward pass alone, in one run.

    python tests/benchmarks/bench_recording.py [--net resnet-56] [--images 2000]

Alternates rounds of both and prints medians, the ratio, and the ratios of two common ways:
`torch.var_mean` in a hook, and keeping every activation.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from analysis.nets import build
from analysis.responses import Recorder
from analysis.responses.recorder import RECORD_BATCH
from analysis.specs import NetSpec


def forward(net: nn.Module, images: Tensor) -> None:
    """All images through the net."""
    with torch.inference_mode():
        for batch in images.split(RECORD_BATCH):
            net(batch)


def recorded(net: nn.Module, images: Tensor) -> None:
    """The same inside our recorder, responses and refinement."""
    with Recorder(net):
        forward(net, images)


def responses_only(net: nn.Module, images: Tensor) -> None:
    """The same inside our recorder, responses alone."""
    with Recorder(net, refinement=False):
        forward(net, images)


def with_hook(reduce: Callable[[Tensor], object]) -> Callable[[nn.Module, Tensor], None]:
    """The same with a hook on every BN."""

    def run(net: nn.Module, images: Tensor) -> None:
        handles = [
            module.register_forward_hook(lambda _m, _i, out: (reduce(out), None)[1])
            for module in net.modules()
            if isinstance(module, nn.BatchNorm2d)
        ]
        forward(net, images)
        for handle in handles:
            handle.remove()

    return run


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", default="resnet-56")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    net = build(NetSpec.parse(arguments.net), 0).eval()
    images = torch.randn(arguments.images, 3, 32, 32)
    ways = {
        "forward alone": forward,
        "responses": responses_only,
        "responses and refinement": recorded,
        "var_mean in a hook": with_hook(lambda y: torch.var_mean(y, (0, 2, 3))),
        "keeping a copy": with_hook(lambda y: y.clone().std()),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    forward(net, images[:256])
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way(net, images)
            seconds[name].append(time.perf_counter() - began)
    base = statistics.median(seconds["forward alone"])
    print(f"{arguments.net}, {arguments.images} images, {torch.get_num_threads()} threads")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:25} {median:6.2f} s  ratio {median / base:.2f}")


if __name__ == "__main__":
    main()
