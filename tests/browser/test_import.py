"""Bring your own net in Chromium: `pytest tests/browser/test_import.py`"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from playwright.sync_api import expect

from tests.browser.serve import (
    app_server,
    chromium,
    chromium_path,
    import_checkpoint,
    open_page,
)
from tests.importing import foreign

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium"),
]


def test_an_upload_becomes_a_run_that_compare_shows(tmp_path: Path):
    """A deep link to the page, a file, data typed and the button pressed at once, then Compare."""
    state = {f"module.{k}": v for k, v in foreign.shaken(foreign.kuangliu()).state_dict().items()}
    torch.save({"net": state, "acc": 91.73, "epoch": 200}, tmp_path / "ckpt.pth")
    with app_server(tmp_path / "runs") as address, chromium() as browser:
        page = open_page(browser, width=1440, height=1100)
        import_checkpoint(page, address, tmp_path / "ckpt.pth", "resnet-18-w8-B")
        expect(page.get_by_text("but the file claims 8.27 % (acc)")).to_be_visible()
        expect(page.locator(".js-plotly-plot")).to_have_count(1)
        page.get_by_text("Open it in Compare").click()
        heading = page.get_by_role("heading", name="Plain vs residual nets")
        expect(heading).to_be_visible()
        expect(page.get_by_text("came without a training history")).to_be_visible()
        expect(page.locator(".js-plotly-plot")).to_have_count(2)


def test_a_bad_upload_leaves_the_page_in_order(tmp_path: Path):
    """Refused in words; the next file is taken."""
    (tmp_path / "bad.pth").write_bytes(b"PK\x03\x04 no zip")
    torch.save(foreign.chenyaofo().state_dict(), tmp_path / "good.pth")
    with app_server(tmp_path / "runs") as address, chromium() as browser:
        page = open_page(browser, width=1440, height=1100)
        page.goto(f"{address}/import_net")
        upload = page.locator("input[type=file]")
        upload.set_input_files(tmp_path / "bad.pth")
        expect(page.get_by_text("the end of the zip is missing")).to_be_visible()
        upload.set_input_files(tmp_path / "good.pth")
        expect(page.get_by_text("Found resnet-8-B")).to_be_visible()
        expect(page.get_by_text("the end of the zip is missing")).to_have_count(0)
    assert list((tmp_path / "runs" / ".uploads").iterdir()) == []
