"""Training throughput of our trainer against the common loop, in one run, data pipeline included.

    python tests/benchmarks/bench_training.py [--net resnet-20] [--data folder:PATH] [--steps 20]

The common loop is what most scripts do: torchvision's transforms on PIL images in a DataLoader
with worker processes, float32, eager. Both train the same net on the same images at batch 128,
alternately, so that a busy machine slows both; medians of rounds and their ratio are printed,
with the roofline of this CPU: its measured matrix product rate, in float32 and in the precision
that was used, over the net's multiply-adds. Peak memory is of our trainer alone, before the other
loop is made.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from torchvision.transforms.functional import to_pil_image

from analysis.data import Images
from analysis.nets import build
from analysis.runs import open_writer
from analysis.specs import Compute, DataSpec, NetSpec, Recipe, plan
from analysis.training import prepare_run
from analysis.training.checkpoint import Position
from analysis.training.distributed import World
from analysis.training.loop import _Trainer
from analysis.training.monitor import Monitor
from analysis.training.prepare import TrainingImages, completed, load_training_images
from analysis.training.session import Session

BATCH = 128


class PilImages(Dataset):
    """Images as PIL objects with the usual transforms, one at a time."""

    def __init__(self, images: Images) -> None:
        self.pil = [to_pil_image(x) for x in images.train[:20_000]]
        self.labels = images.train_labels[:20_000].tolist()
        self.transform = v2.Compose(
            [
                v2.RandomCrop(32, padding=4),
                v2.RandomHorizontalFlip(),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize((0.4913, 0.4821, 0.4465), (1.0, 1.0, 1.0)),
            ]
        )

    def __len__(self) -> int:
        return len(self.pil)

    def __getitem__(self, index: int):
        return self.transform(self.pil[index]), self.labels[index]


def common_loop(spec: NetSpec, images: Images, steps: int) -> Callable[[], float]:
    """A function that trains `steps` batches and returns images per second."""
    loader = DataLoader(
        PilImages(images),
        BATCH,
        shuffle=True,
        num_workers=2,
        drop_last=True,
        persistent_workers=True,
    )
    net = build(spec, 0).train()
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    batches = iter(loader)

    def run() -> float:
        nonlocal batches
        began = time.perf_counter()
        for _ in range(steps):
            try:
                x, y = next(batches)
            except StopIteration:
                batches = iter(loader)
                x, y = next(batches)
            optimizer.zero_grad()
            F.cross_entropy(net(x), y).backward()
            optimizer.step()
        return steps * BATCH / (time.perf_counter() - began)

    return run


def our_loop(trainer: _Trainer, steps: int) -> Callable[[], float]:
    """The same with our trainer."""

    def run() -> float:
        began = time.perf_counter()
        trainer._steps(Position(), steps)
        return steps * BATCH / (time.perf_counter() - began)

    return run


def our_trainer(spec: NetSpec, data: DataSpec, compute: Compute) -> tuple[_Trainer, TrainingImages]:
    """A trainer that is ready for its first step, and its images."""
    path = prepare_run(tempfile.mkdtemp(), spec, Recipe.parse("short"), data, compute=compute)
    with open_writer(path) as writer:
        images = load_training_images(writer.config)
        config = completed(writer.config, images.info)
    world = World()
    monitor = Monitor(Session(), world, None)
    trainer = _Trainer(config, images, None, world, monitor)
    monitor.begin(trainer.length, Position())
    monitor.begin_epoch(0)
    if config.compute.compile:
        trainer.net.compile()
    trainer.module = trainer.net
    return trainer, images


def matrix_rate(precision: str) -> float:
    """Multiply-adds per second of a matrix product on all threads."""
    a = torch.randn(2048, 2048).to(getattr(torch, precision))
    a @ a
    rates = []
    for _ in range(5):
        began = time.perf_counter()
        a @ a
        rates.append(2048**3 / (time.perf_counter() - began))
    return max(rates)


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", default="resnet-20")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    data = DataSpec.parse(arguments.data)
    spec = NetSpec.parse(arguments.net, data.count_classes())
    trainer, images = our_trainer(spec, data, Compute())
    print(f"{arguments.net} on {data}, batch {BATCH}: {trainer.compute}")
    ours = our_loop(trainer, arguments.steps)
    ours()  # warm-up
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    common = common_loop(spec, images.images, arguments.steps)
    common()
    contestants = {"ours": ours, "common loop": common}
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(arguments.rounds):
        for name, run in contestants.items():
            rates[name].append(run())
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in rates.items():
        spread = f"{min(values):.0f} to {max(values):.0f}"
        print(f"{name:12} {medians[name]:7.0f} images/s ({spread} in {len(values)} rounds)")
    print(f"ratio        {medians['ours'] / medians['common loop']:7.2f}")
    for precision in dict.fromkeys(("float32", trainer.compute.precision)):
        roof = matrix_rate(precision) / (3 * plan.multiply_adds(spec))
        print(f"roofline     {roof:7.0f} images/s: {precision} matrix product rate / (3 x net's)")
    print(f"peak memory  {peak:7.2f} GiB, our trainer")


if __name__ == "__main__":
    main()
