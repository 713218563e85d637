"""Small refinements in a real browser: pytest tests/browser/test_refinements.py"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.serve import chromium_path, open_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium"),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No run of the user's: the bundled ones alone."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = open_page(browser)
    yield opened
    opened.context.close()


def test_the_first_figure_is_drawn_before_the_others_are_there(page: Page, address: str):
    """Then they follow by themselves, without a scroll or a click."""
    page.goto(f"{address}/refinements", wait_until="commit")
    seen = page.wait_for_function(
        "document.querySelector('.st-key-refinements_blocks .scatterlayer .trace')"
        " && document.querySelectorAll('.js-plotly-plot').length"
    )
    assert int(seen.json_value()) <= 2
    expect(page.locator(".st-key-refinements_readouts .trace").first).to_be_attached()


def test_an_address_of_a_control_further_down_is_kept(page: Page, address: str):
    """The page ends above it at first, while the first figure is drawn."""
    view = "refinements_measure=Response&refinements_second=resnet-56"
    page.goto(f"{address}/refinements?{view}")
    title = page.locator(".st-key-refinements_training .gtitle")
    expect(title).to_contain_text("Over training: Response")
    expect(page.locator(".st-key-refinements_similarity .gtitle")).to_contain_text("resnet-56")
    expect(page).to_have_url(re.compile(re.escape(view)))
