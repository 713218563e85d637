"""Updates a second on a GPU, eager against one recorded CUDA graph, on random images.

    python tests/benchmarks/bench_gpu.py [--nets resnet-20,resnet-110] [--seconds 3]
    python tests/benchmarks/bench_gpu.py --together 1,2,4,8    # what `jobs start --slots` gains

One line per net and way; the losses after the same updates are printed beside each other, since the
two must train alike. With `--together`, one line per net and number of trainings side by side, each
a process of its own, with the images per second of all. Without a GPU it says so.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import torch

from analysis.data import Normalizer
from analysis.data.images import Images
from analysis.nets import build
from analysis.runs import ImagesInfo, RunConfig
from analysis.specs import Compute, DataSpec, NetSpec, Recipe
from analysis.training.distributed import World
from analysis.training.hardware import resolve
from analysis.training.prepare import TrainingImages
from analysis.training.updates import Updates


def random_images(n: int = 50_000) -> TrainingImages:
    """As many as CIFAR-10 has, of the same size."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (n, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (n,), generator=generator)
    classes = tuple("0123456789")
    images = Images(pixels, labels, pixels[:100], labels[:100], classes, "random")
    info = ImagesInfo("", n, 100, classes)
    return TrainingImages(images, None, None, Normalizer.fit(pixels[:1000]), info)


def bench(
    net: str,
    images: TrainingImages,
    compute: Compute,
    seconds: float,
    ready: Callable[[], object] = lambda: None,
) -> tuple[float, float]:
    """(updates a second, mean loss over the first hundred updates, then `ready` is called)."""
    spec = NetSpec.parse(net)
    compute = resolve(compute)
    device = torch.device(compute.device)
    recipe = Recipe.parse("short")
    config = RunConfig(spec, recipe, DataSpec("cifar10"), None, 0, compute, "")
    model = build(spec, 0).to(device)
    if compute.channels_last:
        model = model.to(memory_format=torch.channels_last)
    model.train()
    updates = Updates(model, config, images, World(), device)
    updates.begin_epoch(0)
    sums = torch.zeros(3, device=device)
    for step in range(100):
        sums += updates.update(step, 0.01)
    loss = float(sums[0] / sums[2])
    ready()
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for step in range(50):
            sums += updates.update(step, 0.01)
        steps += 50
        torch.cuda.synchronize()
    return steps / (time.perf_counter() - began), loss


def _beside(net: str, compute: Compute, seconds: float, barrier: Any, found: Any) -> None:
    """One of several processes: they start counting together."""
    found.put(bench(net, random_images(), compute, seconds, barrier.wait)[0])


def together(net: str, compute: Compute, seconds: float, count: int) -> float:
    """Updates a second of several trainings side by side, all together."""
    context = get_context("spawn")
    barrier, found = context.Barrier(count), context.Queue()
    asked = (net, compute, seconds, barrier, found)
    processes = [context.Process(target=_beside, args=asked) for _ in range(count)]
    for process in processes:
        process.start()
    rate = sum(found.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    return rate


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", default="resnet-20,resnet-110")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--layouts", default="last", help="last, first or last,first")
    parser.add_argument("--ways", default="eager,graph")
    parser.add_argument("--together", default="", help="trainings at once, as in 1,2,4,8")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("no NVIDIA GPU here")
        return
    print(torch.cuda.get_device_name(0), torch.__version__)
    if given.together:
        for net in given.nets.split(","):
            for count in map(int, given.together.split(",")):
                rate = together(net, Compute("cuda", given.precision), given.seconds, count)
                print(f"{net:15} {count:2} at once {128 * rate:9.0f} images/s", flush=True)
        return
    images = random_images()
    for net in given.nets.split(","):
        for layout in given.layouts.split(","):
            base = Compute("cuda", given.precision, False, layout == "last")
            for way in given.ways.split(","):
                compute = replace(base, cuda_graph=way == "graph")
                rate, loss = bench(net, images, compute, given.seconds)
                print(
                    f"{net:15} channels {layout:5} {way:6} {1000 / rate:7.3f} ms an update "
                    f"{128 * rate:9.0f} images/s  mean loss of the first 100: {loss:.5f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
