"""The static site as a class opens it: from a folder, with no network at all.

pytest tests/browser/test_publish.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from analysis.figures.site import publish
from analysis.runs import load_run
from tests.browser.contrast import faint
from tests.browser.serve import chromium_path, open_page
from tests.probed import write_probed

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium"),
]
PAGES = [f"{tongue}{name}.html" for tongue in ("", "zh/")
         for name in ("index", "refinements", "argument")]  # fmt: skip
PLACES = "div.plotly-graph-div"
DRAWN = f"{PLACES}.js-plotly-plot"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of four tiny nets, in a folder whose name has a blank, a # and Chinese."""
    folder = tmp_path_factory.mktemp("site of \u4e2d #1")
    runs = [load_run(write_probed(folder / "runs", net))
            for net in ("plain-8", "plain-14", "resnet-8", "resnet-14")]  # fmt: skip
    publish(folder / "site", runs)
    return folder / "site"


def opened(browser: Browser, place: Path, **context) -> tuple[Page, list[str]]:
    """The page, offline, and what goes wrong on it or is asked of anything but files."""
    page = open_page(browser, **context)
    page.context.set_offline(True)
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: asked.url.startswith(("file:", "data:", "blob:"))
            or wrong.append(asked.url))  # fmt: skip
    page.goto(place.as_uri())
    page.locator(f"{DRAWN} .main-svg").first.wait_for(state="attached")
    return page, wrong


def scroll_through(page: Page) -> None:
    for _step in range(60):
        page.mouse.wheel(0, 500)
        page.wait_for_timeout(60)
        if page.evaluate("scrollY + innerHeight >= document.documentElement.scrollHeight"):
            break
    page.wait_for_function(
        f"document.querySelectorAll('{PLACES}:not(.js-plotly-plot)').length == 0"
    )


@pytest.mark.parametrize("name", PAGES)
def test_every_figure_is_drawn_when_it_is_scrolled_to(site: Path, browser: Browser, name: str):
    """From file://, offline, dark: not all at first, all at the end, no word in the console; every
    word is read."""
    page, wrong = opened(browser, site / name, height=800, color_scheme="dark")
    places = page.locator(PLACES).count()
    assert places
    if "refinements" in name:
        assert page.locator(DRAWN).count() < places
    scroll_through(page)
    assert page.locator(DRAWN).count() == places
    assert faint(page) == []
    assert wrong == []
    page.context.close()


def test_pages_and_languages_are_reached_by_links(site: Path, browser: Browser):
    """By the keyboard as well, since they are plain links; the data are files beside the pages."""
    page, wrong = opened(browser, site / "index.html")
    page.get_by_role("link", name="Small refinements").click()
    page.get_by_role("heading", level=1, name="Small refinements").wait_for()
    page.get_by_role("link", name="\u7b80\u4f53\u4e2d\u6587").press("Enter")
    page.wait_for_function("document.documentElement.lang === 'zh-CN'")
    assert page.url.endswith("/zh/refinements.html")
    page.get_by_role("link", name="English").click()
    page.get_by_text("Data and commands").first.click()
    with page.expect_download() as found:
        page.locator("details[open] a[download]").first.click()
    assert Path(found.value.path()).read_text("utf-8").startswith("run,")
    assert wrong == []
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_telephone_shows_all_of_a_page(site: Path, browser: Browser, name: str):
    """At 390 pixels nothing runs out of the page to the right."""
    page, wrong = opened(browser, site / name, width=390, height=844)
    scroll_through(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert wrong == []
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_follow_the_system_and_are_ink_on_paper(
    site: Path, browser: Browser, scheme: Literal["light", "dark"]
):
    """The theme changes under an open page; printed, all figures are drawn, dark on white."""
    other: Literal["light", "dark"] = "dark" if scheme == "light" else "light"
    ground = f"document.querySelector('{DRAWN}')._fullLayout.font.color"
    page, wrong = opened(browser, site / "argument.html", color_scheme=scheme)
    first = page.evaluate(ground)
    page.emulate_media(color_scheme=other)
    page.wait_for_function(f"{ground} !== '{first}'")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(DRAWN).count() == page.locator(PLACES).count()
    assert page.locator(".claim details:not([open])").count() == 0
    red = int(page.evaluate(ground).lstrip("#")[:2], 16)
    assert red < 0x60
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.wait_for_function(f"{ground} !== '{first}'")
    assert page.locator(".claim details[open]").count() == 0
    assert wrong == []
    page.context.close()
