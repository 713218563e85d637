"""A cold start: from `streamlit run app.py` to the first figure, and what the first page imports.

    python tests/benchmarks/bench_cold.py [--starts 3] [--environment]

Each start is a new server and a new browser, with no compiled modules, no list of runs and no cache
from before, as after a fresh installation; the files themselves may be in the system's memory. Then
the same server is asked again by a second visitor. With --environment: how long it takes to make a
virtual environment and `pip install -e .` into it, which needs the network, and the start from it.
Then the time of the first page's imports, by package, from `python -X importtime`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.browser.serve import app_server, chromium, open_page  # noqa: E402

FIGURE = ".st-key-compare_errors .js-plotly-plot .main-svg"
FIRST_PAGE = """
import analysis.figures
from streamlit.testing.v1 import AppTest
page = AppTest.from_file({app!r}, default_timeout=300).run()
assert not page.exception and page.get("plotly_chart")
"""


def start(python: str) -> tuple[float, float, float]:
    """Seconds to a server that answers, from there to its first figure, to the second visitor's."""
    with tempfile.TemporaryDirectory() as place, chromium() as browser:
        fresh = {name: f"{place}/{name}" for name in
                 ("PYTHONPYCACHEPREFIX", "RESIDUAL_LENS_CACHE", "RESIDUAL_LENS_RUNS")}  # fmt: skip
        begin = time.perf_counter()
        with app_server(python=python, **fresh) as address:
            times = [time.perf_counter() - begin]
            for _visitor in range(2):
                page = open_page(browser)
                begin = time.perf_counter()
                page.goto(address)
                page.locator(FIGURE).first.wait_for(state="attached")
                times.append(time.perf_counter() - begin)
                page.context.close()
    return times[0], times[1], times[2]


def make_environment(place: str) -> str:
    """Its Python."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    folder, name = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    python = str(Path(place) / folder / name)
    subprocess.run([python, "-m", "pip", "install", "-q", "-e", str(ROOT)], check=True)
    print(f"environment and pip install: {time.perf_counter() - begin:.0f} s")
    return python


def imports(python: str) -> Counter[str]:
    """Milliseconds that the modules of each package took to import for the first page.

    Residual Lens' own by their two first names: `analysis.runs`.
    """
    code = FIRST_PAGE.format(app=str(ROOT / "app.py"))
    command = [python, "-X", "importtime", "-c", code]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stderr
    spent: Counter[str] = Counter()
    for own, name in re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", told):
        parts = name.split(".")
        package = ".".join(parts[: 2 if parts[0] in ("analysis", "pages") else 1])
        spent[package] += int(own) / 1000
    return spent


def main() -> None:
    """Start, start again, look at the imports."""
    parser = argparse.ArgumentParser(description="A cold start.")
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--environment", action="store_true", help="in one made for it")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        python = make_environment(place) if given.environment else sys.executable
        for _start in range(given.starts):
            server, figure, again = start(python)
            print(
                f"server {server:.1f} s, first figure {figure:.1f} s later, "
                f"{server + figure:.1f} s in all; second visitor {again:.1f} s"
            )
        spent = imports(python)
    print(f"imports for the first page: {sum(spent.values()) / 1000:.2f} s, of them in ms:")
    for package, milliseconds in spent.most_common(25):
        print(f"{milliseconds:8.0f} {package}")


if __name__ == "__main__":
    main()
