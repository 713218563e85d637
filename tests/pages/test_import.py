"""The page "Bring your own net": `pytest tests/pages/test_import.py`."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest
from torch import nn

from analysis.runs import list_runs
from analysis.runs.names import find_named
from tests.importing import foreign

pytestmark = pytest.mark.trains

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page with an empty runs folder."""
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path / "runs"))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    return app.switch_page("pages/training/import_net.py").run()


def checkpoint(value: object) -> bytes:
    """As torch.save writes it."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def test_an_upload_becomes_a_run(page: AppTest, tmp_path: Path):
    """Upload, what was found, import; the upload itself is gone afterwards."""
    state = foreign.shaken(foreign.chenyaofo()).state_dict()
    page.file_uploader(key="import_file").upload("../odd name.pth", checkpoint(state)).run()
    assert not page.exception
    assert "resnet-8-B: residual, 8 layers" in page.success[0].value
    page.button(key="import_go").click().run()

    assert not page.exception
    assert "Imported as" in page.success[1].value
    runs = tmp_path / "runs"
    made = [path for path in runs.iterdir() if not path.name.startswith(".")]
    assert [(path / "responses.csv").exists() for path in made] == [True]
    assert list((runs / ".uploads").iterdir()) == []


def test_a_bad_upload_is_refused_in_words(page: AppTest):
    """No traceback: the reason, and no button."""
    page.file_uploader(key="import_file").upload("net.pth", b"PK\x03\x04 no zip").run()

    assert not page.exception
    assert page.error[0].value == (
        "net.pth is refused: it is cut off: the end of the zip is missing; get the file again"
    )
    assert not page.button


def test_fields_of_a_file_are_text(page: AppTest):
    """The name of a tensor, which a note repeats, loads no picture."""
    state = foreign.shaken(foreign.chenyaofo()).state_dict()
    state["![p](http://example_org/p_png) :smile:.weight"] = torch.ones(
        5, state["fc.weight"].shape[1]
    )
    page.file_uploader(key="import_file").upload("net.pth", checkpoint(state)).run()

    assert not page.exception
    (note,) = [caption.value for caption in page.caption if "could be it" in caption.value]
    assert r"!\[p\](http:" "\u2060" r"//example_org/p_png) :" "\u2060" "smile:" in note


def test_a_path_with_wrong_data_is_refused(page: AppTest, tmp_path: Path):
    """100 classes against the ten digits; nothing is written."""
    (tmp_path / "net.pth").write_bytes(checkpoint(foreign.chenyaofo(classes=100).state_dict()))
    page.text_input(key="import_path").set_value(str(tmp_path / "net.pth")).run()
    page.text_input(key="import_data").set_value("digits")
    page.button(key="import_go").click().run()

    assert not page.exception
    assert "100 classes, your data has 10" in page.error[0].value
    assert not (tmp_path / "runs").exists()


def test_responses_are_there_at_once_and_compare_opens_on_them(page: AppTest, tmp_path: Path):
    """Without any data: Fig. 7 in closed form, and a link to the run in Compare."""
    state = foreign.shaken(foreign.chenyaofo()).state_dict()
    page.file_uploader(key="import_file").upload("net.pth.tar", checkpoint(state)).run()
    page.button(key="import_go").click().run()

    assert not page.exception
    (chart,) = page.get("plotly_chart")
    figure = json.loads(chart.proto.spec)
    assert figure["layout"]["title"]["subtitle"]["text"] == "In closed form from BN parameters."
    lines = [trace for trace in figure["data"] if "meta" not in trace]
    assert [len(trace["customdata"]) for trace in lines] == [7, 7]
    assert any("no training history" in caption.value for caption in page.caption)
    (link,) = page.get("page_link")
    assert link.proto.query_string == "compare_runs=resnet-8-B+import+s0"
    page.button(key="import_go").click().run()  # again: a run of its own, which the link means
    (link,) = page.get("page_link")
    asked = parse_qs(link.proto.query_string)["compare_runs"]
    (meant,) = find_named(asked, list_runs([tmp_path / "runs"])).values()
    assert any(f"Imported as {meant}" in said.value for said in page.success)


def test_the_file_is_read_once(page: AppTest, tmp_path: Path):
    """A pass over the page that changes nothing of the file does not read it again."""
    path = tmp_path / "net.pth"
    path.write_bytes(checkpoint(foreign.chenyaofo().state_dict()))
    page.text_input(key="import_path").set_value(str(path)).run()
    first = page.session_state["import_found"]
    page.selectbox[1].set_value("imagenet").run()
    assert not page.exception
    assert page.session_state["import_found"] is first
    assert first[1].file.tensors == {}, "weights in a session's memory"
    path.write_bytes(checkpoint(foreign.akamaster().state_dict()))
    page.selectbox[1].set_value("half").run()
    assert page.session_state["import_found"][1].net.spec.name == "resnet-8"


def test_a_gap_to_the_claim_is_warned_of(page: AppTest, tmp_path: Path):
    """The claim beside what was measured on the digits, and the warning."""
    path = tmp_path / "net.pth"
    path.write_bytes(
        checkpoint({"net": foreign.shaken(foreign.kuangliu()).state_dict(), "acc": 91.73})
    )
    page.text_input(key="import_path").set_value(str(path)).run()
    page.text_input(key="import_data").set_value("digits")
    page.button(key="import_go").click().run()

    assert not page.exception
    assert {metric.label: metric.value for metric in page.metric}["Error that the file claims"] == (
        "8.27 %"
    )
    assert "but the file claims 8.27 % (acc)" in page.warning[0].value


def test_the_page_is_there_before_torch(tmp_path: Path):
    """A first visitor sees it at once; torch is loaded with the first file."""
    script = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "page = AppTest.from_file('app.py', default_timeout=60).run()\n"
        "page.switch_page('pages/training/import_net.py').run()\n"
        "assert not page.exception and page.title[0].value == 'Bring your own net'\n"
        "print([m for m in ('torch', 'torchvision') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120,
        env={**os.environ, "RESIDUAL_LENS_RUNS": str(tmp_path)}, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_a_net_of_torchvision_is_measured_and_stands_beside_ours(page: AppTest, tmp_path: Path):
    """None of our families: built by its library, measured over a folder; a link to its figure."""
    from torchvision import models

    random = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        pixels = random.integers(0, 256, (50, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{number}.png")
    path = tmp_path / "flowers.pth"
    path.write_bytes(checkpoint(models.mobilenet_v3_small(num_classes=7).state_dict()))
    page.text_input(key="import_path").set_value(str(path)).run()
    assert not page.exception
    assert "no code comes from the file" in page.success[0].value
    page.text_input(key="import_library_data").set_value(f"folder:{tmp_path / 'pictures'}")
    page.button[0].click().run()

    assert not page.exception
    assert not page.error
    assert "Saved as" in page.success[1].value
    (chart,) = page.get("plotly_chart")
    assert "mobilenet_v3_small (flowers)" in chart.proto.spec
    refinements, _compare = page.get("page_link")
    assert "refinements_runs=mobilenet+v3+small-flowers" in refinements.proto.query_string
    assert "refinements_runs=resnet-56" in refinements.proto.query_string, "beside ours"


def test_any_other_net_is_told_how_to_be_measured(page: AppTest, tmp_path: Path):
    """The refusal as before, and Python with the path that was typed."""
    other = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(20, 2))
    path = tmp_path / "mine.pth"
    path.write_bytes(checkpoint(other.state_dict()))
    page.text_input(key="import_path").set_value(str(path)).run()
    assert not page.exception
    assert page.error[0].value.startswith("mine.pth:")
    assert f"torch.load({str(path)!r}, weights_only=True)" in page.code[0].value
    assert "observe(net, images)" in page.code[0].value
    assert "with watch(net, name='mine')" in page.code[0].value
