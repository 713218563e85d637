"""No page opens a table that it does not draw, once what it asks of all runs is kept beside them.

Each look is by a new process, which the system tells of every file that is opened.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import tiny

ROOT = Path(__file__).parents[2]
NETS = "plain-8", "resnet-8", "plain-14", "resnet-14", "resnet-20"
LOOK = """
import json, os, sys
opened = []
def note(event, args):
    if event == "open" and str(args[0]).endswith((".csv", ".safetensors", ".npz")):
        opened.append(os.path.basename(os.path.dirname(str(args[0]))))
sys.addaudithook(note)
from analysis.runs import listing
listing.BUNDLED = listing.BUNDLED / "none"
from streamlit.testing.v1 import AppTest
told = {}
for file in sys.argv[2:]:
    page = AppTest.from_file(sys.argv[1], default_timeout=120).run()
    if file != "pages/evidence/compare.py":
        opened.clear()
        page.switch_page(file).run()
    assert not page.exception, page.exception
    chosen = [name for picker in page.multiselect for name in picker.value]
    told[file] = sorted(set(opened)), [str(name) for name in chosen]
print(json.dumps(told))
"""
SUMMARIES = "pages/evidence/compare.py", "pages/evidence/runs.py", "pages/training/train.py"
FIGURES = "pages/evidence/refinements.py", "pages/evidence/argument.py", "pages/lens/image.py"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of the user, which have been looked at."""
    folder = tmp_path_factory.mktemp("many")
    for net in NETS:
        for seed in range(3):
            tiny.write_run(folder, net, epochs=3, seed=seed)
    look(folder, *SUMMARIES, *FIGURES)
    return folder


def look(folder: Path, *files: str) -> dict[str, tuple[list[str], list[str]]]:
    """Of each page: the folders that its tables and weights were opened in, the chosen runs."""
    environment = {**os.environ, "RESIDUAL_LENS_RUNS": str(folder), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(ROOT / "app.py"), *files], env=environment, cwd=ROOT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_page_that_lists_runs_opens_no_table_of_theirs(own: Path):
    """Train estimates by all of them, and Runs shows the errors of each."""
    runs = {path.name for path in own.iterdir()}

    for file, (opened, _chosen) in look(own, *SUMMARIES).items():
        assert runs.isdisjoint(opened), file


def test_a_page_with_figures_opens_the_tables_of_the_runs_it_shows(own: Path):
    """The claims of The argument are of all runs, its figures of few."""
    runs = {path.name for path in own.iterdir()}

    for file, (opened, chosen) in look(own, *FIGURES).items():
        assert runs & set(opened) <= set(chosen), file
