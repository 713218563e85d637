"""A class's server in a real browser: closed pages by their addresses, uploads, two visitors.

pytest tests/browser/test_classroom.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from pages.common import classroom
from tests.browser.serve import app_server, chromium, chromium_path, open_page, watch_requests
from tests.lens.bad_files import encoded, photo
from tests.probed import write_probed

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium"),
]
UPLOADER = "[data-testid=stFileUploaderDropzoneInput]"


def test_visitors_see_and_upload_and_no_more(tmp_path: Path):
    """Train and Import are no addresses; a picture too large is refused in words; a good one goes
    through the nets; another visitor sees nothing of it."""
    for net in ("plain-8", "resnet-8"):
        write_probed(tmp_path / "runs", net)
    server = app_server(tmp_path / "runs", **{classroom.SWITCH: "1"})
    with server as address, chromium() as browser:
        page, other = open_page(browser), open_page(browser)
        outside = watch_requests(page)
        page.goto(address)
        expect(page.get_by_role("link", name="Inspect")).to_be_visible()
        for closed in ("Train", "Bring your own net", "Runs", "Complexity"):
            assert page.get_by_role("link", name=closed, exact=True).count() == 0
        for closed in ("train", "import_net", "runs"):
            page.goto(f"{address}/{closed}")
            expect(page.get_by_role("heading", name="Plain vs residual nets")).to_be_visible()
        page.goto(f"{address}/image?image_source=Upload")
        expect(page.get_by_text("10MB per file")).to_be_visible()
        large = {"name": "large.png", "mimeType": "image/png",
                 "buffer": bytes(classroom.CLASS.size + 2_000_000)}  # fmt: skip
        page.locator(UPLOADER).set_input_files([large])
        expect(page.get_by_text("File must be 10.0MB or smaller.")).to_be_visible()
        good = {"name": "mine.png", "mimeType": "image/png", "buffer": encoded(photo(60, 40))}
        page.locator(UPLOADER).set_input_files([good])
        expect(page.get_by_text("mine.png, 60 x 40.")).to_be_visible()
        expect(page.locator(".st-key-image_responses .js-plotly-plot")).to_be_visible()
        other.goto(f"{address}/image?image_source=Upload")
        expect(other.get_by_text("Choose one or several images.")).to_be_visible()
        assert other.get_by_text("mine.png").count() == 0
        assert page.locator("[data-testid=stException]").count() == 0
        assert outside == []
