"""Make the pictures of README.md and checkpoints/README.md from the bundled runs.

    python tests/browser/screenshots.py [PICTURE ...] [--runs FOLDER] [--out docs]

Each is looked at before it is committed. `train-running-light` needs trainings in --runs.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote_plus

from PIL import Image
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from analysis.evidence import presets
from analysis.runs import BUNDLED, Run, list_runs
from pages.common.pickers import run_names
from tests.browser.serve import ROOT, app_server, chromium


@dataclass(frozen=True)
class Picture:
    """One picture: which page, how wide, in which colours."""

    page: str = ""
    scheme: Literal["light", "dark"] = "light"
    width: int = 1440
    figures: int = 2
    """Plotly figures to wait for."""
    tall: int | None = None
    """Height in pixels; None: the whole page."""
    heading: str = ""
    """Scroll to the part of the page under this heading."""
    settle: float = 1.5
    """Seconds after the last figure is there."""


def ladder() -> str:
    """The part of an address that chooses the bundled nets of Fig. 6."""
    runs = [run for run in list_runs([BUNDLED]) if isinstance(run, Run)]
    names = run_names(runs)
    return "&".join(
        f"compare_runs={quote_plus(names[run.id])}" for run in presets.presets(runs)["fig6"]
    )


PICTURES = {
    "compare-light": Picture(tall=860),
    "bundled-light": Picture(f"?{ladder()}", tall=860),
    "refinements-light": Picture("refinements", figures=2, tall=1560, settle=6),
    "argument-dark": Picture("argument", "dark", figures=1, tall=1500, settle=6),
    "inspect-layers": Picture("image", figures=1, tall=1500, settle=8),
    "train-running-light": Picture("train", figures=1, settle=3),
}


_SCROLL = """heading => {
    const main = document.querySelector('[data-testid=stMain]');
    const found = [...main.querySelectorAll('h2')].find(h => h.innerText.includes(heading));
    main.scrollTo(0, main.scrollTop + found.getBoundingClientRect().top - 24);
}"""


def main() -> None:
    """Parse the options and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="*", help=", ".join(PICTURES))
    parser.add_argument("--runs", help="a folder of runs to show beside the bundled ones")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="where the pictures go")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with app_server(options.runs) as address, chromium() as browser:
        for name in options.pictures or [n for n in PICTURES if not n.startswith("train")]:
            path = options.out / f"{name}.png"
            take(browser, f"{address}/{PICTURES[name].page}", PICTURES[name], path)
            print(path)


def take(browser: Browser, address: str, picture: Picture, path: Path) -> None:
    """One picture of a page."""
    context = browser.new_context(
        color_scheme=picture.scheme,
        viewport={"width": picture.width, "height": 900},
        device_scale_factor=1.5,
    )
    page = context.new_page()
    page.goto(address)
    drawn = page.locator(".js-plotly-plot .main-svg")
    drawn.nth(2 * picture.figures - 1).wait_for(state="attached", timeout=120_000)
    height = picture.tall or _content_height(page)
    page.set_viewport_size({"width": picture.width, "height": height})
    page.wait_for_timeout(1000 * picture.settle)  # fonts and plotly's relayout settle
    if picture.heading:
        page.evaluate(_SCROLL, picture.heading)
        page.wait_for_timeout(1500)
    page.screenshot(path=path, timeout=120_000)
    context.close()
    with Image.open(path) as image:  # 256 colours are all it has, bar the edges of letters
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def _content_height(page: Page) -> int:
    page.wait_for_timeout(1500)
    return page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")


if __name__ == "__main__":
    main()
