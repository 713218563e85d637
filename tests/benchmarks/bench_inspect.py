"""How long the Inspect page's questions take for ResNet-110 with random weights, on this CPU.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_inspect.py [--net resnet-110]
    OMP_NUM_THREADS=1 python tests/benchmarks/bench_inspect.py --uploads 200

Prints the median of several calls beside what issue 4 asks for. With `--uploads`, instead, the
memory of a running server while Chromium gives it that many different pictures, some minutes long.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from analysis.figures import images
from analysis.figures.inspect import plot_tiles
from analysis.lens.activations import block_parts, layer_maps, probe
from analysis.lens.attribution import METHODS, attribute
from analysis.lens.readout import forming
from analysis.nets import build
from analysis.pictures.crops import Crop, to_input
from analysis.pictures.uploads import read_image
from analysis.specs import NetSpec
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
    """Parse the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", default="resnet-110")
    parser.add_argument("--uploads", type=int, default=0, help="measure memory over so many")
    options = parser.parse_args()
    if options.uploads:
        measure_memory(options.uploads)
    else:
        time_questions(options.net)


SESSION = 20
"""Uploads of one visitor; the next one has another panel open."""
PANELS = ("Predictions and layers", "Activations", "Attribution")


def measure_memory(uploads: int) -> None:
    """Different 3-megapixel pictures through the page with its first two nets, one by one."""
    from urllib.parse import quote

    from tests.benchmarks.load import memory
    from tests.browser.serve import app_server, chromium

    with app_server() as address, chromium() as browser:
        print("uploads  resident memory of the server and the process that it asks (MB)")
        for start in range(0, uploads, SESSION):
            panel = quote(PANELS[start // SESSION % len(PANELS)])
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.goto(f"{address}/image?image_source=Upload&image_panel={panel}")
            page.get_by_text("Choose one or several images.").wait_for(timeout=120_000)
            for number in range(start, min(start + SESSION, uploads)):
                upload(page, number, first=number == start)
            print(f"{min(start + SESSION, uploads):7d}  {memory():6.0f}", flush=True)
            page.close()


def upload(page: Page, number: int, first: bool) -> None:
    """Give a picture like no other, wait until the page is whole, take the one before away."""
    name, width = f"picture-{number}.jpg", 1800 + number
    file = {"name": name, "mimeType": "image/jpeg", "buffer": encoded(photo(width, 1600), "JPEG")}
    page.locator(".st-key-image_files input[type=file]").set_input_files([file])
    page.get_by_text(f"{name}, {width} x 1600.").wait_for(timeout=120_000)
    if not first:
        page.get_by_label(f"Remove picture-{number - 1}.jpg").click()
        page.get_by_label(f"Remove picture-{number - 1}.jpg").wait_for(state="detached")
    page.locator("[data-test-script-state=notRunning]").wait_for(timeout=120_000)


def time_questions(name: str) -> None:
    """Each question of the page, for a net with random weights."""
    net = build(NetSpec.parse(name), seed=0).eval()
    file = encoded(photo(3000, 2000), "JPEG")
    x = torch.rand(1, 3, 32, 32) - 0.5

    def upload() -> None:
        pixels = to_input(read_image(file, "a.jpg").rgb, Crop())
        probe(net, torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()).float() / 255)

    def switch() -> None:
        layer = "stage2.block9.conv2" if net.spec.depth == 110 else "stage2.block1.conv2"
        maps = layer_maps(net, x, layer).after
        block_parts(net, x, layer.rpartition(".")[0])
        tiles = images.tile(maps, images.limit_of(maps), "positive", least=640)
        plot_tiles(tiles.pixels, tiles.centres, [""] * len(maps), "").to_json()

    calls: dict[str, Callable[[], object]] = {"upload to predictions": upload}
    calls["switch layer"] = switch
    calls["prediction by depth"] = lambda: forming(net, x)
    for method in METHODS:
        calls[method] = lambda m=method: attribute(net, x, 0, m)
    print(f"{net.spec.name}, {torch.get_num_threads()} threads")
    for title, call in calls.items():
        target = f"  (asked: {TARGETS[title]} s)" if title in TARGETS else ""
        print(f"{title:24s}{median_seconds(call):7.3f} s{target}")


if __name__ == "__main__":
    main()
