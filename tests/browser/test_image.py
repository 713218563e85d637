"""The Inspect page in a real browser: bad files, good ones, the clipboard, the mouse, clicks.

pytest tests/browser/test_image.py
"""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from analysis.specs import Compute, DataSpec, NetSpec, Recipe
from analysis.training import prepare_run, train_run
from tests.benchmarks.load import SERVER, memory
from tests.browser.serve import app_server, chromium, chromium_path, open_page, watch_requests
from tests.lens.bad_files import animation, encoded, photo, refused

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium"),
]
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


def test_bad_files_then_a_good_one(runs: Path):
    """Every bad file gets its sentence in one session; the page goes on; nothing leaves here."""
    with app_server(runs) as address, chromium() as browser:
        page = open_page(browser)
        outside = watch_requests(page)
        page.goto(address)  # the very first request to a server is not a deep link
        expect(page.get_by_role("link", name="Inspect")).to_be_visible()
        page.goto(f"{address}/image?image_source=Upload&image_runs=resnet-8-w4%20tiny")
        expect(page.get_by_text("Choose one or several images.")).to_be_visible()
        before = memory(SERVER)
        for name, (data, message) in refused().items():
            _give(page, name, data)
            expect(page.get_by_text(message)).to_be_visible()
            page.get_by_label(f"Remove {name}").click()
            expect(page.get_by_text(message)).to_be_hidden()
        assert memory(SERVER) - before < 100

        _give(page, "moving.gif", animation())
        expect(page.get_by_text("It is animated: this is its first frame.")).to_be_visible()
        expect(page.locator(".st-key-image_responses .js-plotly-plot")).to_be_visible()
        page.get_by_label("Remove moving.gif").click()
        expect(page.get_by_text("Choose one or several images.")).to_be_visible()
        _give(page, "photo.png", encoded(photo()))
        expect(page.get_by_text("photo.png, 60 x 40.")).to_be_visible()
        assert page.locator("[data-testid=stException]").count() == 0
        assert outside == []


def test_clicking_the_map_and_a_channel(runs: Path):
    """A click on a block changes the list beside it; one on a tile enlarges that channel."""
    with app_server(runs) as address, chromium() as browser:
        page = open_page(browser, height=2200)
        page.goto(f"{address}/image?image_panel=Activations&image_runs=resnet-8-w4%20tiny")
        points = page.locator(f".st-key-image_map_{RUN} .point")
        expect(points.first).to_be_visible()
        box = points.nth(2).bounding_box()  # the ring is 0, the stem 1
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(page.get_by_role("combobox", name="Block")).to_have_value("stage1.block1")

        channel = page.get_by_role("combobox", name="Channel (or click it)")
        over = page.get_by_text("over the image")  # "Channel 2 of stage1.block1.conv2 over ..."
        expect(over).to_contain_text("of stage1.block1.conv2")
        enlarged = page.locator("[data-testid=stImage]", has=over).locator("img")
        tiles = page.locator(f".st-key-image_grid_{RUN} .point")
        seen = {channel.input_value()}
        for tile in (2, 1, 3):  # 0, the strongest, is shown already
            before = enlarged.get_attribute("src")
            expect(page.locator("[data-test-script-state=notRunning]")).to_be_visible()
            page.wait_for_timeout(500)  # the chart is drawn anew after the script has ended
            box = tiles.nth(tile).bounding_box()
            page.mouse.click(box["x"] + 40, box["y"] - 30)  # in the tile, but not in its middle
            expect(enlarged).not_to_have_attribute("src", before)
            number = channel.input_value()
            expect(over).to_have_text(f"Channel {number} of stage1.block1.conv2 over the image")
            seen.add(number)
        assert seen == {"0", "1", "2", "3"}
        assert page.locator("[data-testid=stException]").count() == 0


COPY = """async ([data, type]) => {
  const blob = await (await fetch(`data:${type};base64,${data}`)).blob()
  await navigator.clipboard.write([new ClipboardItem({[type]: blob})])
}"""
PASTE = """([data, name, type]) => {
  const transfer = new DataTransfer()
  transfer.items.add(new File([Uint8Array.from(atob(data), c => c.charCodeAt(0))], name, {type}))
  document.body.dispatchEvent(
    new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true, composed: true}))
}"""


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_pasting(runs: Path):
    """Ctrl+V on the samples shows the picture under Upload; the button adds one and that is shown;
    pasted files pass the same checks as others; text that is pasted is left alone."""
    with app_server(runs) as address, chromium() as browser:
        page = open_page(browser, permissions=["clipboard-read", "clipboard-write"])
        outside = watch_requests(page)
        page.goto(f"{address}/image?image_runs=resnet-8-w4%20tiny")
        expect(page.get_by_text("Temple (photograph), 640 x 427.")).to_be_visible()
        page.evaluate(COPY, [_text(encoded(photo(300, 200))), "image/png"])
        page.keyboard.press("Control+v")
        expect(page.get_by_text("pasted-1.png, 300 x 200.")).to_be_visible()

        page.evaluate(COPY, [_text(encoded(photo(100, 120))), "image/png"])
        page.get_by_role("button", name="Paste a picture").click()
        expect(page.get_by_text("pasted-2.png, 100 x 120.")).to_be_visible()

        page.evaluate(PASTE, [_text(b"no image"), "text.png", "image/png"])
        expect(page.get_by_text(refused()["text.png"][1])).to_be_visible()
        page.evaluate(PASTE, [_text(refused()["drawing.svg"][0]), "drawing.svg", "image/svg+xml"])
        expect(page.get_by_text(refused()["drawing.svg"][1])).to_be_visible()
        expect(page.get_by_text("pasted-2.png, 100 x 120.")).to_be_visible()

        page.evaluate("navigator.clipboard.writeText('words')")
        page.get_by_role("button", name="Paste a picture").click()
        expect(page.get_by_text("There is no picture in the clipboard.")).to_be_visible()
        assert page.locator("[data-testid=stException]").count() == 0
        assert outside == []


def _drag(page: Page, on: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """The mouse from one place to another, in fractions of an element."""
    box = on.bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=4)
    page.mouse.up()


def _expect_square(page: Page, size: int, left: int, top: int) -> None:
    """The sliders, which the keyboard moves too, say where the square is."""
    for name, value in (
        ("Size (%)", size),
        ("Left to right (%)", left),
        ("Top to bottom (%)", top),
    ):
        slider = page.get_by_role("slider", name=name)
        expect(slider).to_have_value(str(value))


def test_drawing_a_square(runs: Path):
    """Dragged on the picture: drawn, moved, resized at a corner; sliders and link follow."""
    with app_server(runs) as address, chromium() as browser:
        page = open_page(browser)
        page.goto(f"{address}/image?image_runs=resnet-8-w4%20tiny&image_sample=Ship%20(drawn)")
        picture = page.locator(".st-key-image_drawing img")
        expect(picture).to_be_visible()
        _drag(page, picture, (0.25, 0.25), (0.75, 0.75))
        _expect_square(page, 50, 50, 50)
        square = page.locator(".st-key-image_drawing .square")
        _drag(
            page, square, (0.5, 0.5), (-0.5, 1.5)
        )  # more than there is room: it stops at the edge
        _expect_square(page, 50, 0, 100)
        _drag(page, page.locator("[data-corner=ne]"), (0.5, 0.5), (60, 0.5))
        _expect_square(page, 100, 50, 50)
        page.get_by_role("slider", name="Size (%)").press("Home")
        _expect_square(page, 5, 50, 50)
        page.wait_for_url("**image_square=5%2C50%2C50*")

        link = page.url
        page.goto(f"{address}/")
        page.goto(link)
        _expect_square(page, 5, 50, 50)
        assert page.locator("[data-testid=stException]").count() == 0
