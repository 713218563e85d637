"""No page opens a table that it does not draw, once what it asks of all runs is kept beside them.

Each look is by a new process, which Python tells of every file that it opens.
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
RUNS, TRAIN = "pages/evidence/runs.py", "pages/training/train.py"
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
page = AppTest.from_file(sys.argv[1], default_timeout=120)
if len(sys.argv) > 2:
    page.switch_page(sys.argv[2])
page.run()
assert not page.exception, page.exception
chosen = [str(name) for picker in page.multiselect for name in picker.value]
print(json.dumps([sorted(set(opened)), chosen]))
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of the user that a page has listed: it asks the tables of each all that pages ask."""
    folder = tmp_path_factory.mktemp("many")
    for net in NETS:
        for seed in range(3):
            tiny.write_run(folder, net, epochs=3, seed=seed)
    look(folder, RUNS)
    return folder


def look(folder: Path, page: str) -> tuple[set[str], set[str]]:
    """The runs of which a page opens tables or weights in a new process, and those it shows."""
    environment = {**os.environ, "RESIDUAL_LENS_RUNS": str(folder), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(ROOT / "app.py"), *filter(None, [page])],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    opened, chosen = json.loads(done.stdout.splitlines()[-1])
    return set(opened), set(chosen)


@pytest.mark.parametrize("page", [RUNS, TRAIN])
def test_a_page_that_lists_all_runs_opens_no_table(own: Path, page: str):
    """Runs shows the errors of each, and Train estimates by all of them."""
    opened, _chosen = look(own, page)

    assert opened == set()


def test_compare_opens_the_tables_of_the_runs_that_it_draws(own: Path):
    """All seeds of four nets, and not those of the fifth."""
    opened, chosen = look(own, "")

    assert opened == chosen == {path.name for path in own.glob("2*") if "-20_" not in path.name}


@pytest.mark.parametrize("page", ["refinements", "argument"])
def test_other_pages_open_no_tables_of_runs_that_they_do_not_draw(own: Path, page: str):
    """The argument's claims are of all runs."""
    opened, chosen = look(own, f"pages/evidence/{page}.py")

    assert opened <= chosen
