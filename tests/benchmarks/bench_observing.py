"""What observing costs beside the forward pass alone: python tests/benchmarks/bench_observing.py

`--images N --batch B --size S --threads T --device D`; a tiny run: `--images 4 --batch 2`. Wanted:
at most 1.5 for ConvNeXt-tiny and ViT-S. Also the time to find the shortcuts, and that of a log.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable

import torch
from torchvision import models

from analysis import find_residuals, watch
from analysis.foreign.measuring import observe_with


def main() -> None:
    """Print a line a net."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("images", 64), ("batch", 16), ("size", 224), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    images = torch.rand(asked.images, 3, asked.size, asked.size, device=asked.device)
    batches = images.split(asked.batch)
    for name, net in _nets(asked.size):
        net = net.to(asked.device).eval()
        find = _seconds(lambda net=net: find_residuals(net, batches[0][:2]), asked.device)
        known = find_residuals(net, batches[0][:2])

        def forward(net=net) -> None:
            with torch.no_grad():
                for batch in batches:
                    net(batch)

        alone = _seconds(forward, asked.device)
        watched = _seconds(
            lambda net=net, known=known: observe_with(net, batches, 0, known), asked.device
        )
        print(
            f"{name:14} {len(known):3} shortcuts, found in {find:.3f} s; forward {alone:.2f} s, "
            f"observed {watched:.2f} s: {watched / alone:.2f}",
            flush=True,
        )
    with tempfile.TemporaryDirectory() as folder, watch(net, "bench", folder=folder) as run:
        print(f"a log: {_seconds(lambda: run.log(train_error=1.0), 'cpu') * 1000:.1f} ms")


def _nets(size: int):
    yield "resnet50", models.resnet50(weights=None)
    yield "convnext_tiny", models.convnext_tiny(weights=None)
    try:
        import timm
    except ImportError:
        yield "vit_b_16", models.vit_b_16(weights=None, image_size=size)
    else:
        yield "vit_small", timm.create_model("vit_small_patch16_224", img_size=size)


def _seconds(call: Callable[[], object], device: str, times: int = 3) -> float:
    """The least of some process times (wall on a GPU), after one to warm up."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    call()
    best = float("inf")
    for _ in range(times):
        start = clock()
        call()
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, clock() - start)
    return best


if __name__ == "__main__":
    main()
