"""Images a second in all: one training with two threads, or two with one thread each.

    python tests/benchmarks/bench_jobs.py

Alternates short runs, so that whatever else the machine does disturbs both alike. The default of
`analysis.jobs.at_a_time` follows from it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from analysis.spec import Compute, NetSpec  # noqa: E402


def rate(processes: int, threads: int, net: str, seconds: float = 5.0) -> float:
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


def main() -> None:
    """Print a line for each net and repetition."""
    for _ in range(3):
        for net in ("resnet-20", "resnet-34-w16"):
            together, apart = rate(1, 2, net), rate(2, 1, net)
            print(f"{net}: 1 x 2 threads {together:.0f}, 2 x 1 thread {apart:.0f} images/s")


if __name__ == "__main__":
    main()
