"""Hostile names in a real browser: nothing that a file says becomes a part of a page.

pytest tests/browser/test_names.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page

from analysis.figures.site import publish
from analysis.runs import load_run
from tests.browser.serve import app_server, chromium, chromium_path, open_page, watch_requests
from tests.probed import write_probed

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium"),
]
NAME = (
    '<img src=x onerror="window.hacked=1"><b class=hacked>b</b></script><script>window.hacked=1'
    "</script> $x^2$ **bold** ![p](http://example.org/p.png) :smile: \u202eright &lt;i&gt; "
    "<a class=hacked href='javascript:window.hacked=1'>link</a> "
    "`code ![p](http://example.org/q.png) :material/delete: :streamlit: "
    "http://example.org www.example.org me@example.org"
)
HACKED = (
    "window.hacked || document.querySelectorAll('.hacked, img[src=x], img[src*=example], .katex, "
    "a[href^=javascript], a[href^=http][href*=example], a[href^=mailto], "
    "img[alt^=Streamlit], [aria-label^=delete]').length "
    "+ (document.body.innerText.match(/\\u{1F604}/gu) || []).length"
)


def write_hostile(folder: Path) -> list[Path]:
    """Two runs whose data title, classes, command, name, tags, note and caveats say NAME."""
    paths = [write_probed(folder, net) for net in ("plain-8", "resnet-8")]
    for path in paths:
        config = json.loads((path / "config.json").read_text())
        config["data"]["title"] = NAME
        config["images"]["classes"] = [f"{NAME} {number}" for number in range(10)]
        config["command"] = NAME
        (path / "config.json").write_text(json.dumps(config))
        said = {"name": NAME, "tags": ["<b>tag</b>"], "note": NAME, "caveats": [NAME]}
        (path / "labels.json").write_text(json.dumps(said))
    return paths


def wait_until_whole(page: Page) -> None:
    """Nothing has been added for a while: some pages go on once their first figure is drawn."""
    before, parts = -1, page.locator("[data-testid=stElementContainer]")
    while parts.count() != before:
        before = parts.count()
        page.wait_for_timeout(2500)
        page.locator("[data-test-script-state=notRunning]").wait_for(state="attached")


def test_a_page_shows_names_and_does_nothing_of_them(tmp_path: Path):
    """Compare, refinements, argument, runs, train and inspect: no tag, script, formula, picture."""
    write_hostile(tmp_path / "runs")
    names = ["plain-8 quick-e3 s0 tiny", "resnet-8 quick-e3 s0 tiny"]
    with app_server(tmp_path / "runs") as address, chromium() as browser:
        for where in ("compare", "refinements", "argument", "runs", "train", "image"):
            page = open_page(browser)
            outside = watch_requests(page)
            asked = "&".join(f"{where}_runs={name}" for name in names)
            page.goto(f"{address}/{'' if where == 'compare' else where}?{asked}")
            page.get_by_role("heading", level=1).wait_for()
            wait_until_whole(page)
            assert page.locator("[data-testid=stException]").count() == 0, where
            assert page.evaluate(HACKED) in (0, None), where
            assert outside == []
            if where == "compare":
                assert page.get_by_text('<img src=x onerror="window.hacked=1">').count(), where
            page.context.close()


def test_a_site_shows_names_and_does_nothing_of_them(tmp_path: Path):
    """From file://, in every figure and list."""
    runs = [load_run(path) for path in write_hostile(tmp_path / "runs")]
    files = publish(tmp_path / "site", runs, runs)
    with chromium() as browser:
        for file in files[:3]:
            page = open_page(browser)
            page.goto(file.as_uri())
            page.locator(".js-plotly-plot .main-svg").first.wait_for(state="attached")
            page.evaluate("dispatchEvent(new Event('beforeprint'))")  # draws and opens all
            page.wait_for_timeout(500)
            assert page.evaluate(HACKED) in (0, None), file
            page.context.close()
