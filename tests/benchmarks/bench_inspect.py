"""How long the Inspect page's questions take for ResNet-110 with random weights, on this CPU.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_inspect.py [--net resnet-110]

Prints the median of several calls beside what issue 4 asks for.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from analysis.figures import images
from analysis.figures.inspect import plot_tiles
from analysis.lens.activations import block_parts, layer_maps, probe
from analysis.lens.attribution import METHODS, attribute
from analysis.lens.crops import Crop, to_input
from analysis.lens.readout import forming
from analysis.lens.uploads import read_image
from analysis.nets import build
from analysis.spec import NetSpec
from tests.lens.bad_files import encoded, photo

TARGETS = {"upload to predictions": 1.0, "switch layer": 0.3, "grad_cam": 1.0,
           "integrated_gradients": 5.0}  # fmt: skip
"""Seconds."""


def median_seconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Of several calls, after one that does not count."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Time each question."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", default="resnet-110")
    net = build(NetSpec.parse(parser.parse_args().net), seed=0).eval()
    file = encoded(photo(3000, 2000), "JPEG")
    x = torch.rand(1, 3, 32, 32) - 0.5

    def upload() -> None:
        pixels = to_input(read_image(file, "a.jpg").rgb, Crop())
        probe(net, torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()).float() / 255)

    def switch() -> None:
        name = "stage2.block9.conv2" if net.spec.depth == 110 else "stage2.block1.conv2"
        maps = layer_maps(net, x, name).after
        block_parts(net, x, name.rpartition(".")[0])
        tiles = images.tile(maps, images.limit_of(maps), "positive", least=640)
        plot_tiles(tiles.pixels, tiles.centres, [""] * len(maps), "").to_json()

    calls: dict[str, Callable[[], object]] = {"upload to predictions": upload}
    calls["switch layer"] = switch
    calls["prediction by depth"] = lambda: forming(net, x)
    for method in METHODS:
        calls[method] = lambda m=method: attribute(net, x, 0, m)
    print(f"{net.spec.name}, {torch.get_num_threads()} threads")
    for name, call in calls.items():
        target = f"  (asked: {TARGETS[name]} s)" if name in TARGETS else ""
        print(f"{name:24s}{median_seconds(call):7.3f} s{target}")


if __name__ == "__main__":
    main()
