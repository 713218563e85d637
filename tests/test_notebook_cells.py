"""docs/notebook.ipynb, run by a kernel: `pytest tests/test_notebook_cells.py`"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

pytestmark = pytest.mark.trains

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def executed() -> list:
    """The code cells with what they put out; a cell that raises fails here."""
    book = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert len(code) == 10
    assert not any(cell.outputs for cell in code), "committed without outputs"
    where = {"metadata": {"path": str(ROOT / "docs")}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        nbclient.NotebookClient(book, timeout=300, resources=where).execute()
    return code


def texts(cell) -> str:
    """What a cell printed, and its last value as HTML."""
    return "".join(
        out.get("text", "") + out.get("data", {}).get("text/html", "") for out in cell.outputs
    )


def figure(cell) -> dict:
    """The plotly figure that a cell shows."""
    kind = "application/vnd.plotly.v1+json"
    return next(out.data[kind] for out in cell.outputs if kind in out.get("data", {}))


def names(cell) -> set[str]:
    """Of the lines with a legend."""
    return {trace["name"] for trace in figure(cell)["data"] if trace.get("showlegend")}


def test_runs_are_shown_as_tables_and_claims_with_verdicts(executed: list):
    """Cells 1 and 9."""
    assert "<strong>resnet-56</strong>" in texts(executed[0])
    assert "Deeper plain nets have a higher training error (degradation)." in texts(executed[8])
    assert "holds" in texts(executed[8])


def test_the_figures_are_those_of_the_argument(executed: list):
    """Cells 2 to 8: each shows the nets that its words are about."""
    assert names(executed[1]) == {"plain-20", "plain-56"}
    assert names(executed[2]) == {"resnet-20", "resnet-56"}
    lines = {trace["name"] for trace in figure(executed[3])["data"]}
    assert {"plain, training", "residual, training", "plain, test", "residual, test"} <= lines
    assert "training error at epoch 0" in texts(executed[4])
    assert names(executed[5]) == {"plain-20", "plain-56", "resnet-20", "resnet-56"}
    assert names(executed[6]) == {"resnet-20", "resnet-56"}
    (ladder,) = [trace["name"] for trace in figure(executed[7])["data"]]
    assert ladder.startswith("resnet-20 to resnet-")


def test_a_net_of_ones_own_stands_beside_them(executed: list):
    """Cell 10: an observed ResNet-18 and a ViT in the refinement figure."""
    assert names(executed[9]) == {"resnet-56", "ResNet-18", "ViT"}
