"""Make the README's pictures of the Compare page from the bundled runs.

    python tests/browser/screenshots.py [--runs FOLDER] [--out docs] [--query compare_x=Time]

Writes compare-light.png, compare-dark.png and compare-narrow.png.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.browser.serve import ROOT, app_server, chromium

Scheme = Literal["light", "dark"]

SHOTS: dict[str, tuple[Scheme, int]] = {
    "light": ("light", 1440),
    "dark": ("dark", 1440),
    "narrow": ("light", 420),
}
"""Colour scheme and window width in pixels by picture."""


def main() -> None:
    """Parse the options and take the pictures."""
    parser = argparse.ArgumentParser(description="Pictures of the Compare page.")
    parser.add_argument("--runs", help="a folder of runs to show beside the bundled ones")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="where the pictures go")
    parser.add_argument("--query", default="", help="what stands after the ? in the address")
    parser.add_argument("--prefix", default="compare", help="begin of the pictures' names")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with app_server(options.runs) as address, chromium() as browser:
        for name, (scheme, width) in SHOTS.items():
            path = options.out / f"{options.prefix}-{name}.png"
            take(browser, f"{address}/?{options.query}", scheme, width, path)
            print(path)


def take(browser: Browser, address: str, scheme: Scheme, width: int, path: Path) -> None:
    """One picture of the whole page."""
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 900}, device_scale_factor=1.5
    )
    page = context.new_page()
    page.goto(address)
    page.locator(".js-plotly-plot .main-svg").nth(3).wait_for(state="attached")
    page.set_viewport_size({"width": width, "height": _content_height(page)})
    page.wait_for_timeout(1500)  # fonts and plotly's relayout settle
    page.screenshot(path=path)
    context.close()
    with Image.open(path) as picture:  # 256 colours are all it has, bar the edges of letters
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def _content_height(page: Page) -> int:
    page.wait_for_timeout(1500)
    return page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")


if __name__ == "__main__":
    main()
