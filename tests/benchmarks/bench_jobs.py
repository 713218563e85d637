"""One training with two threads or two with one each; and what following trainings costs.

    python tests/benchmarks/bench_jobs.py            # the default of jobs.at_a_time follows from it
    python tests/benchmarks/bench_jobs.py following  # what it costs to follow jobs

Alternates short runs, so that whatever else the machine does disturbs both alike. What following
costs is processor time, since wall time would count what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from analysis.specs import Compute, NetSpec  # noqa: E402


def rate(processes: int, threads: int, net: str, seconds: float) -> float:
    """Images a second of all processes together, batch 128."""
    asked = {
        "net": NetSpec.parse(net).to_dict(),
        "batch_size": 128,
        "compute": Compute(threads=threads).to_dict(),
        "seconds": seconds,
    }
    command = [sys.executable, "-m", "analysis.training.timing", json.dumps(asked)]

    def one(_: int) -> float:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)["images_per_second"]

    with ThreadPoolExecutor(processes) as pool:
        return sum(pool.map(one, range(processes)))


def _milliseconds(action: Callable[[], object], times: int) -> float:
    """Processor time of one call, of all threads, median of five rounds."""
    rounds = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(times):
            action()
        rounds.append(1000 * (time.process_time() - began) / times)
    return sorted(rounds)[2]


def following() -> None:
    """A trainer's heartbeat, the worker's look, and a refresh of the page with ten runs shown."""
    from streamlit.testing.v1 import AppTest

    from analysis.runs import open_writer
    from analysis.runs.known import KnownRuns
    from tests.tiny import write_run

    with tempfile.TemporaryDirectory() as folder:
        os.environ["RESIDUAL_LENS_RUNS"] = folder
        for depth in (8, 20, 32, 44, 56):
            for kind in ("plain", "resnet"):
                path = write_run(folder, f"{kind}-{depth}", epochs=30)
        with open_writer(path) as writer:
            cost = _milliseconds(lambda: writer.set_status(durable=False), 200)
            print(f"a heartbeat: {cost:.2f} ms every 2 s, {cost / 20:.3f} % of the trainer")
            cost = _milliseconds(writer.cancel_asked, 1000)
            print(f"a look at the cancel file: {cost:.3f} ms every 0.25 s, {cost / 2.5:.3f} %")
        known = KnownRuns()
        cost = _milliseconds(lambda: known.entries([folder]), 50)
        print(f"a look of the worker at ten runs: {cost:.2f} ms every 0.5 s, {cost / 5:.2f} %")
        script = "from pages.training import live; live.show(False)"
        page = AppTest.from_string(script, default_timeout=120).run()
        page.multiselect(key="train_beside").set_value([p.name for p in Path(folder).iterdir()])
        page.run()
        cost = _milliseconds(page.run, 4)
        print(f"a refresh of the live view with ten runs shown: {cost:.0f} ms every 2 s")
        live = page.multiselect(key="train_beside")
        assert len(live.value) == 10


def main() -> None:
    """Print a line for each net and repetition."""
    parser = argparse.ArgumentParser(description="One training with two threads, or two with one.")
    parser.add_argument("what", nargs="?", choices=["rates", "following"], default="rates")
    parser.add_argument("--nets", default="resnet-20,resnet-34-w16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    if asked.what == "following":
        return following()
    for _ in range(asked.rounds):
        for net in asked.nets.split(","):
            together, apart = (rate(*way, net, asked.seconds) for way in ((1, 2), (2, 1)))
            print(f"{net}: 1 x 2 threads {together:.0f}, 2 x 1 thread {apart:.0f} images/s")
    return None


if __name__ == "__main__":
    main()
