"""The page "Bring your own net": `pytest tests/pages/test_import.py`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from tests.importing import foreign

PAGE = str(Path(__file__).parents[2] / "pages/training/import_net.py")


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page with an empty runs folder."""
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path / "runs"))
    return AppTest.from_file(PAGE, default_timeout=60).run()


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


def test_a_path_with_wrong_data_is_refused(page: AppTest, tmp_path: Path):
    """100 classes against the ten digits; nothing is written."""
    (tmp_path / "net.pth").write_bytes(checkpoint(foreign.chenyaofo(classes=100).state_dict()))
    page.text_input(key="import_path").set_value(str(tmp_path / "net.pth")).run()
    page.text_input(key="import_data").set_value("digits").run()
    page.button(key="import_go").click().run()

    assert not page.exception
    assert "100 classes, your data has 10" in page.error[0].value
    assert not (tmp_path / "runs").exists()
