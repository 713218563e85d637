"""How long Small refinements takes: its page on the bundled runs, and a lesion of resnet-56.

    python tests/benchmarks/bench_refinements.py [--browser] [--threads 2]

Prints the work on the server for the first page of a fresh process, for the whole page again, and
for a change of each control; then one lesion of resnet-56 on 256 images, from the first block on
and from the first block of each later stage on. With `--browser` also the time from the page
request to the first figure in Chromium. Wanted: 3 s for the first figure on a warm server, 200 ms
for a widget, 0.5 s for a lesion.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.bench_compare import flip, median, once, report  # noqa: E402

PAGE = "pages/evidence/refinements.py"


def main() -> None:
    """Time the page, then the lesions."""
    parser = argparse.ArgumentParser(description="Time the page Small refinements.")
    parser.add_argument("--browser", action="store_true", help="also time Chromium")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RESIDUAL_LENS_RUNS"] = folder  # the bundled runs alone
        time_server()
        if options.browser:
            time_browser(folder)
    time_lesions(options.threads)


def time_server() -> None:
    """The script that makes the page, in this process."""
    from streamlit.testing.v1 import AppTest

    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    page.switch_page(PAGE)
    report("first page of the process", once(page.run))
    assert not page.exception, page.exception
    report("whole page again", median(page.run))
    slider = page.select_slider(key="refinements_moment")
    places = iter(list(slider.options)[:7] * 2)

    def move() -> None:
        page.select_slider(key="refinements_moment").set_value(next(places))
        page.run()

    def measure() -> None:
        flip(page, "refinements_measure", ["ratio", "std", "zeros", "grad_norm"])
        page.run()

    report("whole page after a change of the moment of training", median(move))
    report("whole page after a change of the measure", median(measure))


def time_browser(folder: str) -> None:
    """From the page request to the first figure, on a server that has served one page before."""
    from tests.browser.serve import app_server, chromium

    with app_server(folder) as address, chromium() as browser:
        for title in ("first page of the server", *["page of a warm server"] * 3):
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            page = context.new_page()
            start = time.perf_counter()
            page.goto(f"{address}/refinements", wait_until="commit")
            page.locator(".st-key-refinements_blocks .scatterlayer .trace").first.wait_for()
            report(f"{title}: first figure", time.perf_counter() - start)
            context.close()


def time_lesions(threads: int) -> None:
    """One lesion of an untrained resnet-56 on 256 images of noise; the net's pass beside it."""
    import torch

    from analysis.lens.laboratory import Laboratory, Lesion
    from analysis.nets import build
    from analysis.specs import NetSpec

    torch.set_num_threads(threads)
    net = build(NetSpec.parse("resnet-56"), 0).eval()
    x = torch.randn(256, 3, 32, 32)
    bench = Laboratory(net, x)
    with torch.inference_mode():
        whole = median(lambda: net(x), 3)
    report(f"a pass of resnet-56 over 256 images, {threads} threads", whole)
    for name in ("stage1.block1", "stage2.block1", "stage3.block1"):
        taken = median(lambda name=name: bench.logits(Lesion({name: 0.0})), 3)
        report(f"without {name}: {taken / whole:.2f} passes", taken)


if __name__ == "__main__":
    main()
