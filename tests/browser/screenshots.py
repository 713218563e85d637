"""Make every picture of README.md, docs/ and checkpoints/README.md, all of them or some.

    python tests/browser/screenshots.py [PICTURE ...] [--out docs]

From the bundled runs; `train-running-light` trains two small nets for some minutes, in a folder of
its own. Each is looked at before it is committed. `tests/test_pictures.py` checks that the texts
show these pictures and no others.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote_plus

from PIL import Image
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from analysis import jobs
from analysis.evidence import presets
from analysis.runs import BUNDLED, Run, list_runs
from analysis.specs import DataSpec
from pages.common.pickers import run_names
from tests.browser.serve import ROOT, app_server, chromium
from tests.queues import wait_until

TRAINED = ("plain-20-w8", "resnet-20-w8")
"""What trains in the picture of Train: small enough for a processor without anything else."""


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
    trains: bool = False
    """Whether nets are in training."""


def ladder() -> str:
    """The part of an address that chooses the bundled nets of Fig. 6."""
    runs = [run for run in list_runs([BUNDLED]) if isinstance(run, Run)]
    names = run_names(runs)
    return "&".join(
        f"compare_runs={quote_plus(names[run.id])}" for run in presets.presets(runs)["fig6"]
    )


@contextmanager
def trainings() -> Generator[Path]:
    """A folder in which two nets are in their fifth epoch or further; they are stopped after it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folder = Path(place)
        wanted = jobs.requests_for(TRAINED, DataSpec.parse("digits"), "quick", {"epochs": 60})
        jobs.set_at_a_time(folder, len(TRAINED))
        jobs.submit(jobs.Trainings(wanted), folder)
        try:
            wait_until(lambda: min(run.status.epoch for run in _runs(folder)) > 3, seconds=3600)
            yield folder
        finally:
            for run in _runs(folder):
                jobs.stop(run.path)
            busy = ("running", "queued")
            wait_until(lambda: not any(run.state in busy for run in _runs(folder)))


def _runs(folder: Path) -> list[Run]:
    return [run for run in list_runs([folder]) if isinstance(run, Run)]


PICTURES = {
    "compare-light": Picture(tall=860),
    "bundled-light": Picture(f"?{ladder()}", tall=860),
    "refinements-light": Picture("refinements", figures=2, tall=1560, settle=6),
    "argument-dark": Picture("argument", "dark", figures=1, tall=1500, settle=6),
    "inspect-layers": Picture("image", figures=1, tall=1500, settle=8),
    "train-running-light": Picture("train?train_depths=20", figures=2, settle=3, trains=True),
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
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="where the pictures go")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    wanted = {name: PICTURES[name] for name in options.pictures or PICTURES}
    still = {name: picture for name, picture in wanted.items() if not picture.trains}
    moving = {name: picture for name, picture in wanted.items() if picture.trains}
    if still:
        with tempfile.TemporaryDirectory() as nothing:  # none of one's own beside the bundled ones
            take_all(still, options.out, nothing)
    if moving:
        with trainings() as folder:
            take_all(moving, options.out, folder)


def take_all(pictures: dict[str, Picture], out: Path, runs: Path | str) -> None:
    """Each into its file."""
    with app_server(runs) as address, chromium() as browser:
        for name, picture in pictures.items():
            take(browser, f"{address}/{picture.page}", picture, out / f"{name}.png")
            print(out / f"{name}.png")


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
