"""The Compare page in a real browser: links, curves, responses, pictures, tables, no network.

pytest tests/browser/test_compare.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect

from analysis.evidence.presets import first_choice
from analysis.runs import BUNDLED, Run, list_runs
from tests.browser.serve import chromium_path, open_page, wait_until_settled, watch_requests
from tests.tiny import write_run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium"),
]

NETS = ("plain-34-w8", "resnet-34-w8", "resnet-20")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs made by formulas."""
    folder = tmp_path_factory.mktemp("runs")
    for net in NETS:
        write_run(folder, net)
    return folder


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = open_page(browser, width=1440)
    yield opened
    opened.context.close()


def _compare(address: str, *nets: str, **controls: str) -> str:
    """The address of Compare with these runs and controls."""
    chosen = [f"compare_runs={net}+quick-e3+s0+tiny" for net in nets]
    return f"{address}/?" + "&".join(chosen + [f"compare_{k}={v}" for k, v in controls.items()])


def _open(page: Page, popover: str) -> None:
    """Open one of the page's drawers of controls."""
    page.locator(f".st-key-compare_{popover} button").first.click()


def _lines(page: Page, chart: str) -> list[str]:
    """The labels of the lines that are drawn in a chart."""
    drawn = page.locator(f".st-key-compare_{chart} .js-plotly-plot")
    expect(drawn.locator(".scatterlayer .trace").first).to_be_visible()
    return drawn.evaluate("e => e.data.filter(t => t.showlegend).map(t => t.name)")


def _box(shown: Locator) -> FloatRect:
    """Where it is, in pixels."""
    box = shown.bounding_box()
    assert box is not None
    return box


def _side_links(page: Page) -> list[str]:
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return page.locator("[data-testid=stSidebarNavLink]").all_inner_texts()


def test_the_first_request_to_a_server_is_a_deep_link(address: str, page: Page):
    """Right page, the frame around it, no page that app.py does not name; must come first."""
    outside = watch_requests(page)
    page.goto(f"{address}/about")
    expect(page.get_by_role("heading", level=1)).to_have_text("Reading guide")
    expect(page.get_by_text("Page not found")).to_have_count(0)
    deep = _side_links(page)
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_have_text("Plain vs residual nets")
    assert deep == _side_links(page)
    assert any("Compare" in link for link in deep)
    assert not [link for link in deep if re.search(r"app|cached|show|pickers|state", link)]
    assert outside == []


def test_both_nets_are_drawn_and_another_run_is_picked(address: str, runs: Path, page: Page):
    """Curves and responses of the default pair; the third run joins in both and in the address."""
    found = [run for run in list_runs([BUNDLED, runs]) if isinstance(run, Run)]
    pair = list(dict.fromkeys(run.net for run in first_choice(found)))
    outside = watch_requests(page)
    page.goto(address)
    for chart in ("errors", "responses"):
        assert _lines(page, chart) == pair
    _open(page, "choice")
    page.get_by_role("combobox", name="Runs").fill("resnet-20 quick")  # the list is long
    page.get_by_role("option", name="resnet-20 quick-e3 s0 tiny").click()
    for chart in ("errors", "responses"):
        page.wait_for_function(
            f"document.querySelector('.st-key-compare_{chart} .js-plotly-plot')?.data"
            f".filter(t => t.showlegend).length == {len(pair) + 1}"
        )
        nets = [label.split(",")[0] for label in _lines(page, chart)]
        assert sorted(nets) == sorted([*pair, "resnet-20"])
    page.wait_for_url(re.compile("compare_runs=.*resnet-20"))
    assert outside == []


def test_a_link_reopens_the_view(address: str, page: Page):
    """The address that a change of a control makes, opened in a new tab, shows the same."""
    page.goto(_compare(address, "resnet-20", "plain-34-w8"))
    assert _lines(page, "errors") == ["plain-34-w8", "resnet-20"]
    _open(page, "axes")
    page.get_by_role("radio", name="Log").click()
    page.wait_for_url(re.compile("compare_scale=Log"))
    other = page.context.new_page()
    other.goto(page.url)
    assert _lines(other, "errors") == ["plain-34-w8", "resnet-20"]
    axis = "e => e.layout.yaxis.type"
    assert other.locator(".st-key-compare_errors .js-plotly-plot").evaluate(axis) == "log"


def test_the_summary_is_saved_as_csv(address: str, page: Page):
    """With units in the headings, and the numbers of the run."""
    page.goto(_compare(address, "resnet-20"))
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    assert download.value.suggested_filename == "compare_summary.csv"
    table = pd.read_csv(StringIO(Path(download.value.path()).read_text()))
    assert table["Run"].tolist() == ["resnet-20"]
    assert table["Parameters"].tolist() == [269_722]
    assert {"Test error (%)", "Training error, running (%)"} <= set(table)


def test_a_figures_numbers_are_saved_as_csv(address: str, page: Page):
    """A row a layer of the layer responses."""
    page.goto(_compare(address, "resnet-20"))
    with page.expect_download() as download:
        page.locator(".st-key-compare_responses_csv button").click()
    table = pd.read_csv(Path(download.value.path()))
    assert table["index"].tolist() == list(range(1, 20))
    assert set(table["source"]) == {"measured"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_figure_is_saved_as_png_and_svg(
    address: str, browser: Browser, scheme: Literal["light", "dark"]
):
    """In the browser, offline: dark ink on white, whatever the page's theme is."""
    page = open_page(browser, width=1440, color_scheme=scheme)
    outside = watch_requests(page)
    page.goto(_compare(address, "resnet-20", "plain-34-w8"))
    _lines(page, "errors")
    box = page.locator(".st-key-compare_errors_picture")
    files = {}
    for kind in ("PNG", "SVG"):
        with page.expect_download() as download:
            box.get_by_role("button", name=kind).click()
        assert download.value.suggested_filename == f"compare_errors.{kind.lower()}"
        files[kind] = Path(download.value.path())
    with Image.open(files["PNG"]) as image:
        assert image.width == 1800
        assert image.convert("RGB").getpixel((3, 3)) == (255, 255, 255)
    drawing = files["SVG"].read_text()
    assert drawing.startswith("<svg")
    for words in ("Training error and test error", "resnet-20", "plain-34-w8", "Error (%)"):
        assert words in drawing
    assert outside == []
    page.context.close()


def test_all_nets_are_named_where_the_pointer_is(address: str, page: Page):
    """One label with training and test error of both nets."""
    page.goto(_compare(address, "resnet-20", "plain-34-w8"))
    _lines(page, "errors")
    plot = page.locator(".st-key-compare_errors .nsewdrag").first
    plot.scroll_into_view_if_needed()
    box = _box(plot)
    page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2)
    label = page.locator(".st-key-compare_errors .hoverlayer")
    expect(label).to_contain_text("Epoch: 2")
    for name in ("plain-34-w8, train", "plain-34-w8, test", "resnet-20, train", "resnet-20, test"):
        expect(label).to_contain_text(name)


def test_a_narrow_window_has_no_sideways_scroll(address: str, browser: Browser):
    """Figures one below the other, in 420 pixels."""
    page = open_page(browser, width=420, height=900)
    page.goto(address)
    _lines(page, "responses")
    main = page.locator("[data-testid=stMain]")
    assert main.evaluate("e => e.scrollWidth - e.clientWidth") == 0
    left, right = (
        _box(page.locator(f".st-key-compare_{chart}")) for chart in ("errors", "responses")
    )
    assert right["y"] > left["y"] + left["height"]
    page.context.close()


def test_a_link_reopens_the_view_for_a_reader_of_another_language(address: str, browser: Browser):
    """Words of controls stand in it: an English link opens in English, a Chinese one says so."""
    page = open_page(browser, width=1440, locale="zh-CN")
    page.goto(_compare(address, "resnet-20", x="Time"))
    _lines(page, "errors")
    axis = "e => e.layout.xaxis.title.text"
    chart = ".st-key-compare_errors .js-plotly-plot"
    assert page.locator(chart).evaluate(axis) == "Time since the start (s)"
    page.goto(_compare(address, "resnet-20") + "&lang=zh_CN")
    _open(page, "axes")
    page.get_by_role("radio", name="时间").click()
    page.wait_for_url(re.compile("compare_x=.*lang=zh_CN"))
    other = open_page(browser, width=1440, locale="en-US")
    other.goto(page.url)
    _lines(other, "errors")
    assert other.locator(chart).evaluate(axis) == "开始后的时间（s）"
    page.context.close()
    other.context.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_a_legend_and_the_line_of_conditions_lie_apart(page: Page, address: str, width: int):
    """Nine nets have no room for names at line ends: their legend is under the figure."""
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(address)
    page.get_by_role("button", name="Fig. 6").click()
    wait_until_settled(page)
    chart = page.locator(".st-key-compare_responses .js-plotly-plot")
    legend = chart.locator(".legend .bg").bounding_box()
    conditions = chart.locator(".annotation", has_text="recipe short").bounding_box()
    assert legend
    assert conditions
    assert legend["y"] + legend["height"] <= conditions["y"] + 1
