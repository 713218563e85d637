"""How long Small refinements takes: its page on the bundled runs, and a lesion of resnet-56.

    python tests/benchmarks/bench_refinements.py [--browser] [--net resnet-56]

Prints the work on the server for the first page of a fresh process, for the whole page again (as
after another choice of runs), and for a change of each control of a figure, which runs its part of
the page alone; then one lesion of resnet-56 on 256 images, from the first block on and from the
first block of each later stage on. With `--browser` also the time from the page
request to the first figure in Chromium. Wanted: 3 s for the first figure on a warm server, 200 ms
for a widget, 0.5 s for a lesion.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.bench_compare import (  # noqa: E402
    flip,
    median,
    once,
    report,
    time_browser,
)

PAGE = "pages/evidence/refinements.py"
PART = """
from analysis.evidence.presets import default_depths
from pages.common import cached
from pages.evidence.panels import refinement
refinement.{part}(default_depths(cached.list_runs()[0]){rest})
"""
"""What a change of a control in it runs: one fragment of the page, over the page's first runs."""


def main() -> None:
    """Time the page, then the lesions."""
    parser = argparse.ArgumentParser(description="Time the page Small refinements.")
    parser.add_argument("--browser", action="store_true", help="also time Chromium")
    parser.add_argument("--net", default="resnet-56", help="for the lesions")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=7, help="of which the median is told")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RESIDUAL_LENS_RUNS"] = folder  # the bundled runs alone
        time_server(options.rounds)
        if options.browser:
            time_browser(folder, "refinements", {"refinements_blocks": "first figure"})
    time_lesions(options.net, options.threads, min(options.rounds, 3))


def time_server(rounds: int) -> None:
    """The script that makes the page, in this process."""
    from streamlit.testing.v1 import AppTest

    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    page.switch_page(PAGE)
    report("first page of the process", once(page.run))
    assert not page.exception, page.exception
    report("whole page again", median(page.run, rounds))
    first = AppTest.from_string(PART.format(part="by_block", rest=", None"), default_timeout=120)
    first.run()
    places = iter(list(first.select_slider(key="refinements_moment").options)[:rounds] * 2)

    def move() -> None:
        first.select_slider(key="refinements_moment").set_value(next(places))
        first.run()

    course = AppTest.from_string(PART.format(part="over_training", rest=""), default_timeout=120)
    course.run()

    def measure() -> None:
        flip(course, "refinements_measure", ["ratio", "std", "zeros", "grad_norm"])
        course.run()

    report("a change of the moment of training", median(move, rounds))
    report("a change of the measure of the heat map", median(measure, rounds))
    for part in (first, course):
        assert not part.exception, part.exception


def time_lesions(name: str, threads: int, rounds: int) -> None:
    """One lesion of an untrained net on 256 images of noise; the net's pass beside it."""
    import torch

    from analysis.lens.laboratory import Laboratory
    from analysis.nets import build
    from analysis.runs.learned import Lesion
    from analysis.specs import NetSpec

    torch.set_num_threads(threads)
    net = build(NetSpec.parse(name), 0).eval()
    x = torch.randn(256, 3, 32, 32)
    bench = Laboratory(net, x)
    with torch.inference_mode():
        whole = median(lambda: net(x), rounds)
    report(f"a pass of {name} over 256 images, {threads} threads", whole)
    for block in ("stage1.block1", "stage2.block1", "stage3.block1"):
        taken = median(lambda block=block: bench.logits(Lesion({block: 0.0})), rounds)
        report(f"without {block}: {taken / whole:.2f} passes", taken)


if __name__ == "__main__":
    main()
