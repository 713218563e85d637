"""What thousands of runs cost: `list`, `claims`, and the pages that look at all runs.

    python tests/benchmarks/bench_many.py [COUNT] [--keep FOLDER] [--browser]

Writes COUNT runs (1,000 by default) with real tables beside the bundled ones: eight nets, many
seeds. Commands are timed in processes of their own, pages by AppTest in one process each: the first
run of the script, which in a new process loads all runs, and the median of three reruns; the same
over the bundled runs alone. With --browser pages are timed there instead: each is the first that
somebody asks of a new server, until its first figure or table is there. What is asked of the runs
for the first time is kept beside them, so the first `claims` takes long.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from analysis.runs import open_writer  # noqa: E402
from tests import tiny  # noqa: E402
from tests.browser.serve import app_server, chromium, open_page  # noqa: E402

NETS = ("plain-8", "plain-14", "plain-20", "plain-26", "resnet-8", "resnet-14", "resnet-20",
        "resnet-26")  # fmt: skip

PAGE = """
import resource, sys, time
from streamlit.testing.v1 import AppTest
page = AppTest.from_file("app.py", default_timeout=600)
times = []
page.switch_page(sys.argv[1])
for _ in range(4):
    began = time.perf_counter()
    page.run()
    times.append(time.perf_counter() - began)
assert not page.exception, page.exception
print(times[0], sorted(times[1:])[1], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def write_many(folder: Path, count: int, nets: Sequence[str] = NETS) -> None:
    """Finished runs of eight nets, or of others: one written, its seeds copied."""
    with tempfile.TemporaryDirectory() as place:
        masters = [tiny.write_run(place, net, epochs=30) for net in nets]
        for path in masters:
            with open_writer(path) as writer:
                writer.set_status(images_per_second=1000.0)
        for number in range(count):
            seed, which = divmod(number, len(nets))
            path = folder / f"2026-11-25_{nets[which]}_quick_s{seed}_{number:04x}"
            shutil.copytree(masters[which], path)
            config = json.loads((path / "config.json").read_text())
            (path / "config.json").write_text(json.dumps({**config, "seed": seed}))


def main() -> None:
    """Write the runs, then time."""
    parser = argparse.ArgumentParser(description="Time what thousands of runs cost.")
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument("--pages", type=int, default=len(PAGES), help="so many of them alone")
    parser.add_argument("--keep", type=Path, help="write them here and leave them")
    parser.add_argument("--browser", action="store_true", help="time pages there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = options.keep or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            write_many(folder, options.count)
        environment = {**os.environ, "RESIDUAL_LENS_RUNS": str(folder), "PYTHONPATH": str(ROOT)}
        print(f"{options.count} runs beside the bundled ones")
        for words in (["list"], ["list"], ["claims"], ["claims"]):
            began = time.perf_counter()
            command = [sys.executable, "-m", "analysis", *words]
            subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True)
            print(f"  {words[0]:24} {time.perf_counter() - began:6.2f} s")
        alone = {**environment, "RESIDUAL_LENS_RUNS": f"{folder}/nothing"}
        for page in list(PAGES)[len(PAGES) - options.pages :]:
            if options.browser:
                times = [time_in_browser(page, where) for where in (folder, f"{folder}/nothing")]
                print(f"  {page:24} {times[0]:6.2f} s; without them {times[1]:.2f} s")
                continue
            first, again, memory = time_page(page, environment)
            without = time_page(page, alone)
            print(
                f"  {page:24} {first:6.2f} s, again {again:.2f} s, {memory:.0f} MB; "
                f"without them {without[0]:.2f} s, again {without[1]:.2f} s"
            )


FIGURE = ".js-plotly-plot .main-svg"
PAGES = {
    "pages/evidence/compare.py": FIGURE,
    "pages/evidence/refinements.py": FIGURE,
    "pages/evidence/argument.py": FIGURE,
    "pages/evidence/runs.py": "[data-testid=stDataFrame]",
    "pages/training/train.py": "[data-testid=stBaseButton-primary]",
}
"""And what one waits for on each: a figure, the table, the button that starts a training."""


def time_page(page: str, environment: dict[str, str]) -> tuple[float, float, float]:
    """Seconds of the first look at a page and of another, and MB of memory: in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", PAGE, page], env=environment, cwd=ROOT, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    first, again, memory = map(float, done.stdout.split()[-3:])
    return first, again, memory


def time_in_browser(page: str, runs: Path | str) -> float:
    """Seconds from the request to a new server to what one waits for."""
    where = Path(page).stem
    with chromium() as browser, app_server(runs) as address:
        opened = open_page(browser)
        began = time.perf_counter()
        opened.goto(f"{address}/{'' if where == 'compare' else where}")
        opened.locator(PAGES[page]).first.wait_for(state="attached")
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
