"""Every word of the main pages by its contrast, in both themes, computed in a real browser.

pytest tests/browser/test_contrast.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from tests.browser.serve import chromium_path, open_page, wait_until_settled
from tests.tiny import write_run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium"),
]

FAINT = """() => {
  const parse = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number)
  const colour = text => {
    if (text.startsWith("color(srgb")) {
      const [r, g, b, a = 1] = parse(text.replace("srgb", ""))
      return [255 * r, 255 * g, 255 * b, a]
    }
    const [r, g, b, a = 1] = parse(text)
    return [r, g, b, a]
  }
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3]))
  const luminance = rgb => {
    const [r, g, b] = rgb.map(c => {
      c /= 255
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const parents = e => { const all = []; for (; e; e = e.parentElement) all.push(e); return all }
  const faint = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim()
    const element = walker.currentNode.parentElement
    if (!text || /^(STYLE|SCRIPT|NOSCRIPT)$/.test(element.tagName)) continue
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue
    if (element.closest("[data-testid=stIconMaterial], [aria-hidden=true], [disabled]")) continue
    const box = element.getBoundingClientRect()
    if (!box.width || !box.height) continue
    const line = parents(element)
    let ground = [255, 255, 255]
    for (const one of [...line].reverse()) {
      ground = over(colour(getComputedStyle(one).backgroundColor), ground)
    }
    const opacity = line.reduce((product, one) => product * getComputedStyle(one).opacity, 1)
    const style = getComputedStyle(element)
    const svg = element instanceof SVGElement
    const ink = colour(svg ? style.fill : style.color)
    const shown = over([...ink.slice(0, 3), ink[3] * opacity], ground)
    const [dark, light] = [luminance(shown), luminance(ground)].sort((a, b) => a - b)
    const ratio = (light + 0.05) / (dark + 0.05)
    // A coloured glyph is a mark, not a word: 3:1.
    const least = /^[\\u2500-\\u2bff\\s]+$/.test(text) ? 3 : 4.5
    if (ratio < least) faint.push([ratio.toFixed(2), text.slice(0, 40), element.tagName])
  }
  return faint
}"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for net in ("plain-8", "resnet-8", "plain-14", "resnet-14"):
        write_run(folder, net)
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("where", ["", "argument", "runs", "complexity", "glossary", "train"])
def test_every_word_is_read(
    address: str, browser: Browser, where: str, scheme: Literal["light", "dark"]
):
    """4.5:1 for text (WCAG 2, AA), 3:1 for the marks beside it."""
    page = open_page(browser, width=1440, color_scheme=scheme)
    page.goto(f"{address}/{where}")
    page.get_by_role("heading", level=1).wait_for()
    if where in ("", "argument"):
        page.locator(".js-plotly-plot .main-svg").first.wait_for(state="attached")
    wait_until_settled(page)
    assert page.evaluate(FAINT) == []
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_focus_is_seen(address: str, browser: Browser, scheme: Literal["light", "dark"]):
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
