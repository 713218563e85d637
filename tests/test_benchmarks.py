"""Every benchmark still runs, as small as it can be: `pytest tests/test_benchmarks.py`.

Their numbers are for an idle machine and are not looked at here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.serve import chromium_path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "tests" / "benchmarks"
SMALL = {
    "compare": ("--rounds 1", "whole page again"),
    "faults": (
        "--trainings 1 --workers 0 --steps 0 --disks 0 --folders 0", "training killed (SIGKILL)",
    ),
    "gpu": ("--nets resnet-8 --seconds 0.1", ""),
    "inspect": ("--net resnet-8", ""),
    "jobs": ("--nets resnet-8 --rounds 1 --seconds 0.2", "images/s"),
    "jobs following": ("", "a heartbeat"),
    "many": ("40 --pages 1", "pages/training/train.py"),
    "observing": ("--images 2 --batch 2 --size 224", "a log"),
    "probes": ("--nets resnet-8 --rounds 1", "resnet-8"),
    "recording": ("--net resnet-8 --images 64 --rounds 1", "resnet-8"),
    "refinements": ("--net resnet-8 --rounds 1", "a change of the moment"),
    "training": ("--net resnet-8 --steps 2 --rounds 1", "images/s"),
}  # fmt: skip
"""By name: how it is asked, and a word of what it says."""
IN_BROWSER = {
    "classroom": ("--sessions 5 --minutes 0.2 --every 3", "errors: 0"),
    "cold": ("--starts 1", "first figure"),
}
ELSEWHERE = {"soak"}
"""tests/browser/test_soak.py, for minutes."""


def run(name: str, asked: str) -> str:
    file, *more = name.split()
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"bench_{file}.py"), *more, *asked.split()],
        capture_output=True, text=True, cwd=ROOT,
        # Compiling would take longer than the smallest of benchmarks.
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
             "TORCHDYNAMO_DISABLE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.trains
@pytest.mark.parametrize("name", SMALL)
def test_it_runs(name: str):
    asked, said = SMALL[name]
    assert said in run(name, asked)


@pytest.mark.trains
@pytest.mark.browser
@pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium")
@pytest.mark.parametrize("name", IN_BROWSER)
def test_it_runs_in_a_browser(name: str):
    asked, said = IN_BROWSER[name]
    assert said in run(name, asked)


def test_none_is_left_out():
    """By the files."""
    named = {name.split()[0] for name in [*SMALL, *IN_BROWSER, *ELSEWHERE]}
    assert {f"bench_{name}" for name in named} == {path.stem for path in FOLDER.glob("bench_*.py")}
