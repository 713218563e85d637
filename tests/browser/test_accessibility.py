"""axe-core and every word's contrast on every page in both themes, and axe-core on the static site.

pytest tests/browser/test_accessibility.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from analysis.figures.site import publish
from analysis.runs import load_run
from tests.browser.contrast import faint
from tests.browser.serve import PAGES, chromium_path, look_at, open_page
from tests.probed import write_probed

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium"),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for net in ("plain-8", "resnet-8", "plain-14", "resnet-14"):
        write_probed(folder, net)
    return folder


Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, Scheme] = ("light", "dark")
APP = "document.querySelector('[data-testid=stApp]')"
STREAMLITS = {"exclude": [["[data-testid=stSidebarNavItems]"]]}
"""Not ours to mend: Streamlit's list of pages has a div for each section between list and items."""


def serious(page: Page) -> list[str]:
    """What axe-core finds of serious or critical impact: rule, element, what is wrong."""
    found = Axe().run(page, context=STREAMLITS).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]}: {' '.join(node['failureSummary'].split())[:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(
    ("where", "first", "then"),
    [(where, *(SCHEMES if n % 2 else SCHEMES[::-1])) for n, where in enumerate(PAGES)],
)
def test_a_page_has_no_serious_finding(
    address: str, browser: Browser, where: str, first: Scheme, then: Scheme
):
    """Names of controls, contrast, order of headings, roles: what a screen reader needs.

    In the theme that it opens in, and in the other when the system takes that meanwhile.
    """
    page = open_page(browser, width=1440, color_scheme=first)
    page.goto(f"{address}/{where}")
    page.get_by_role("heading", level=1).wait_for()
    if where in ("", "argument"):
        page.locator(".js-plotly-plot .main-svg").first.wait_for(state="attached")
    assert look_at(page, lambda: serious(page) + faint(page)) == []
    page.emulate_media(color_scheme=then)
    page.wait_for_function(f"getComputedStyle({APP}).colorScheme === '{then}'")
    for _look in range(5):  # the server has to be told, and figures come anew
        found = look_at(page, lambda: serious(page) + faint(page))
        if not found:
            break
    assert found == []
    page.context.close()


@pytest.fixture(scope="module")
def site(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("site")
    return publish(folder, [load_run(path) for path in sorted(runs.glob("2*"))])


def test_the_site_has_no_serious_finding(site: list[Path], browser: Browser):
    """All pages, in English and in Chinese, with what is folded away opened, in both themes."""
    for n, file in enumerate(file for file in site if file.suffix == ".html"):
        first, then = SCHEMES if n % 2 else SCHEMES[::-1]
        page = open_page(browser, color_scheme=first)
        page.goto(file.as_uri())
        page.locator(".js-plotly-plot .main-svg").first.wait_for(state="attached")
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        page.wait_for_timeout(300)
        assert serious(page) == []
        page.emulate_media(color_scheme=then)
        page.wait_for_timeout(300)
        assert serious(page) == []
        page.context.close()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_focus_is_seen(address: str, browser: Browser, scheme: Scheme):
    """A link of the sidebar that the keyboard has reached has an outline of 3:1."""
    page = open_page(browser, width=1440, color_scheme=scheme)
    page.goto(f"{address}/about")
    link = page.locator("[data-testid=stSidebarNavLink]").nth(2)
    link.wait_for()
    for _press in range(40):
        page.keyboard.press("Tab")
        if link.evaluate("e => e === document.activeElement"):
            break
    page.wait_for_timeout(500)  # the outline comes with a transition
    style = link.evaluate(
        "e => { const s = getComputedStyle(e); return [s.outlineStyle, s.outlineWidth, "
        "s.outlineColor] }"
    )
    assert style[:2] == ["solid", "2px"]
    expected = {"light": "rgb(1, 113, 185)", "dark": "rgb(58, 160, 234)"}
    assert style[2] == expected[scheme]
    page.context.close()


def test_the_browser_knows_page_and_language(address: str, browser: Browser, tmp_path: Path):
    """The tab has the page's title; <html lang> follows the language."""
    page = open_page(browser, width=1440)
    page.goto(f"{address}/glossary?lang=zh_CN")
    page.wait_for_function("document.documentElement.lang === 'zh-CN'")
    page.wait_for_function("document.title.endsWith('· Residual Lens')")
    page.context.close()
