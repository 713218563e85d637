"""The Inspect page in a real browser: bad files one after another, then a good one; a click.

pytest tests/browser/test_image.py
"""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from analysis.spec import Compute, DataSpec, NetSpec, Recipe
from analysis.training import prepare_run, train_run
from tests.browser.serve import app_server, chromium, chromium_path, watch_requests
from tests.lens.bad_files import animation, encoded, photo, refused

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium"),
]
LONG = 60_000
RUN = "2026-11-24_resnet-8-w4_tiny"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """One residual net, trained for a second."""
    recipe = Recipe.parse("quick", epochs=1, train_images=128, test_images=64)
    net, data = NetSpec.parse("resnet-8-w4"), DataSpec.parse("digits")
    compute = Compute(device="cpu", compile=False)
    train_run(prepare_run(tmp_path / "runs", net, recipe, data, compute=compute, run_id=RUN))
    return tmp_path / "runs"


def _give(page: Page, name: str, data: bytes) -> None:
    file = {"name": name, "mimeType": "image/png", "buffer": data}
    page.locator("[data-testid=stFileUploaderDropzoneInput]").set_input_files([file])


def _memory() -> float:
    """Of all servers that this process started, in MB."""
    children = psutil.Process().children(recursive=True)
    servers = [child for child in children if "streamlit" in " ".join(child.cmdline())]
    return sum(child.memory_info().rss for child in servers) / 1e6


def test_bad_files_then_a_good_one(runs: Path):
    """Every bad file gets its sentence in one session; the page goes on; nothing leaves here."""
    with app_server(runs) as address, chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        outside = watch_requests(page)
        page.goto(address)  # the very first request to a server is not a deep link
        expect(page.get_by_role("link", name="Inspect")).to_be_visible(timeout=LONG)
        page.goto(f"{address}/image?image_source=Upload&image_runs=resnet-8-w4%20tiny")
        expect(page.get_by_text("Choose one or several images.")).to_be_visible(timeout=LONG)
        before = _memory()
        for name, (data, message) in refused().items():
            _give(page, name, data)
            expect(page.get_by_text(message)).to_be_visible(timeout=LONG)
            page.get_by_label(f"Remove {name}").click()
            expect(page.get_by_text(message)).to_be_hidden(timeout=LONG)
        assert _memory() - before < 100

        _give(page, "moving.gif", animation())
        expect(page.get_by_text("It is animated: this is its first frame.")).to_be_visible(
            timeout=LONG
        )
        expect(page.locator(".st-key-image_responses .js-plotly-plot")).to_be_visible(timeout=LONG)
        page.get_by_label("Remove moving.gif").click()
        _give(page, "photo.png", encoded(photo()))
        expect(page.get_by_text("photo.png, 60 x 40.")).to_be_visible(timeout=LONG)
        assert page.locator("[data-testid=stException]").count() == 0
        assert outside == []


def test_clicking_the_map_and_a_channel(runs: Path):
    """A click on a block changes the list beside it, and a click on a tile the channel."""
    with app_server(runs) as address, chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 2200})
        page.goto(address)
        expect(page.get_by_role("link", name="Inspect")).to_be_visible(timeout=LONG)
        page.goto(f"{address}/image?image_panel=Activations&image_runs=resnet-8-w4%20tiny")
        points = page.locator(f".st-key-image_map_{RUN} .point")
        expect(points.first).to_be_visible(timeout=LONG)
        box = points.nth(2).bounding_box()  # the ring is 0, the stem 1
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(page.get_by_role("combobox", name="Block")).to_have_value(
            "stage1.block1", timeout=LONG
        )
        assert page.locator("[data-testid=stException]").count() == 0
