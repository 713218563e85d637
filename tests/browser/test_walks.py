"""Walks through the app as people take them, each from page to page in one session.

pytest tests/browser/test_walks.py

Compare three nets and save; upload, a layer, an attribution; a checkpoint beside one's own net;
lesions; the language; a phone in the dark; the keyboard alone. Training, cancelling and resuming:
`test_train.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
from playwright.sync_api import Browser, Locator, Page, expect

from analysis.specs import Compute, DataSpec, NetSpec, Recipe
from analysis.training import prepare_run, train_run
from tests.browser.serve import (
    PAGES,
    chromium_path,
    import_checkpoint,
    open_page,
    wait_until_settled,
)
from tests.importing import foreign
from tests.lens.bad_files import encoded, photo

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium"),
]
NETS = ("plain-8-w4", "resnet-8-w4", "resnet-14-w4")
FOCUSED = "document.activeElement"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three nets, each trained for a second."""
    folder = tmp_path_factory.mktemp("walks") / "runs"
    recipe = Recipe.parse("quick", epochs=1, train_images=128, test_images=64)
    compute, data = Compute(device="cpu", compile=False), DataSpec.parse("digits")
    for net in NETS:
        spec, run_id = NetSpec.parse(net), f"2026-11-24_{net}_tiny"
        train_run(prepare_run(folder, spec, recipe, data, compute=compute, run_id=run_id))
    return folder


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which nothing may go wrong."""
    opened = open_page(browser)
    yield opened
    expect(opened.locator("[data-testid=stException]")).to_have_count(0)
    opened.context.close()


def _query(where: str, *nets: str) -> str:
    return "&".join(f"{where}_runs={net}%20tiny" for net in nets)


def _drawn(page: Page, figure: str) -> Locator:
    """A figure once it is there."""
    found = page.locator(f".st-key-{figure} .js-plotly-plot")
    expect(found.locator(".main-svg").first).to_be_attached()
    return found


def _nets_drawn(page: Page, figure: str, nets: set[str]) -> None:
    """Until a figure's legend names these nets and no more."""
    page.wait_for_function(
        """([figure, names]) => {
            const plot = document.querySelector(`.st-key-${figure} .js-plotly-plot`)
            const drawn = (plot?.data || []).filter(t => t.showlegend).map(t => t.name)
            return drawn.map(n => n.split(",")[0]).sort().join() === names.join()
        }""",
        arg=[figure, sorted(nets)],
    )


def _add_run(page: Page, net: str) -> None:
    """To those of Compare."""
    page.locator(".st-key-compare_choice button").first.click()
    page.get_by_role("combobox", name="Runs").fill(f"{net} tiny")
    page.get_by_role("option", name=f"{net} tiny", exact=True).click()
    page.keyboard.press("Escape")


def test_three_nets_are_compared_and_saved(address: str, page: Page):
    """From a link with two, a third by hand; the table and a figure's numbers have all three."""
    page.goto(f"{address}/?{_query('compare', *NETS[:2])}")
    _nets_drawn(page, "compare_errors", set(NETS[:2]))
    _add_run(page, NETS[2])
    for figure in ("compare_errors", "compare_responses"):
        _nets_drawn(page, figure, set(NETS))
    wait_until_settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    assert set(pd.read_csv(download.value.path())["Run"]) == set(NETS)
    with page.expect_download() as download:
        page.locator(".st-key-compare_errors_csv button").click()
    assert set(pd.read_csv(download.value.path())["net"]) == set(NETS)


def test_an_upload_a_layer_an_attribution(address: str, page: Page):
    """A picture of one's own, a block and its first layer, then where two nets look."""
    page.goto(f"{address}/image?image_source=Upload&{_query('image', *NETS[:2])}")
    file = {"name": "mine.png", "mimeType": "image/png", "buffer": encoded(photo())}
    page.locator("[data-testid=stFileUploaderDropzoneInput]").set_input_files([file])
    expect(page.get_by_text("mine.png, 60 x 40.")).to_be_visible()
    _drawn(page, "image_responses")
    page.get_by_role("radio", name="Activations", exact=True).click()
    page.get_by_role("radio", name=NETS[1], exact=True).click()
    wait_until_settled(page)
    page.get_by_role("combobox", name="Block").click()
    page.get_by_role("option", name="stage2.block1").click()
    expect(page.get_by_text("of stage2.block1.conv2 over the image")).to_be_visible()
    page.get_by_role("radio", name="conv1", exact=True).click()
    expect(page.get_by_text("of stage2.block1.conv1 over the image")).to_be_visible()
    page.get_by_role("radio", name="Attribution", exact=True).click()
    maps = page.locator("[data-testid=stImage]", has_text="Grad-CAM, ")
    expect(maps).to_have_count(2)  # one for each net
    wait_until_settled(page)
    before = maps.last.inner_text()
    depth = page.get_by_role("slider", name="Depth of the layer (%)")
    depth.press("Home")
    expect(maps.last).not_to_have_text(before)
    expect(maps.last).to_contain_text("stage1.block1")
    with page.expect_download() as download:
        page.get_by_role("button", name="These maps (.npz)").click()
    assert download.value.suggested_filename == "attribution.npz"


def test_a_checkpoint_beside_ones_own_net(address: str, page: Page, tmp_path: Path):
    """Imported, opened in Compare, one's own added: both answer in the layer responses."""
    torch.save(foreign.shaken(foreign.chenyaofo()).state_dict(), tmp_path / "theirs.pth")
    import_checkpoint(page, address, tmp_path / "theirs.pth", "resnet-8-B")
    page.get_by_text("Open it in Compare").click()
    expect(page.get_by_text("came without a training history")).to_be_visible()
    _add_run(page, NETS[1])
    _nets_drawn(page, "compare_responses", {"resnet-8-B", NETS[1]})
    _nets_drawn(page, "compare_errors", {NETS[1]})


def test_blocks_are_taken_away(address: str, page: Page):
    """Asked for and drawn; then in the laboratory a stage off, and half of it back."""
    page.goto(f"{address}/refinements?{_query('refinements', *NETS[1:])}")
    page.get_by_role("button", name="Take the blocks away").click()
    expect(page.get_by_role("button", name="Take the blocks away")).to_have_count(0)
    expect(page.get_by_text("Nobody has removed blocks of these nets yet.")).to_have_count(0)
    expect(page.get_by_text(f"{NETS[1]} (").filter(has_text="without one block")).to_be_visible()
    page.get_by_text("Open the laboratory").click()
    expect(page.get_by_text(f"{NETS[1]} with 0 of 3 branches at 100 %")).to_be_visible()
    page.get_by_role("radio", name="All of stage 2", exact=True).click()
    expect(page.get_by_text(f"{NETS[1]} with 1 of 3 branches at 0 %")).to_be_visible()
    page.get_by_role("slider", name="Strength alpha of their branches").press("End")
    expect(page.get_by_text(f"{NETS[1]} with 1 of 3 branches at 100 %")).to_be_visible()


def test_the_language_goes_with_the_reader(address: str, page: Page):
    """Chosen once: on this page, on the next, after a reload; and back."""
    page.goto(address)
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Plain vs residual nets")
    _choose_language(page, "简体中文")
    expect(heading).not_to_have_text("Plain vs residual nets")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.locator("[data-testid=stSidebarNavLink][href$='/argument']").click()
    expect(heading).to_have_text("论文的论证")
    page.reload()
    expect(heading).to_have_text("论文的论证")
    _choose_language(page, "English")
    expect(heading).to_have_text("The paper's argument")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def _choose_language(page: Page, name: str) -> None:
    wait_until_settled(page)
    page.get_by_role("combobox", name="Language").click()
    page.get_by_role("option", name=name).click()


def test_a_phone_in_the_dark(address: str, browser: Browser):
    """390 pixels: each page from the drawer, which closes; dark; nothing to scroll sideways to."""
    page = open_page(browser, width=390, height=844, color_scheme="dark", has_touch=True)
    page.goto(address)
    main = page.locator("[data-testid=stMain]")
    for where in PAGES:
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        if where:
            page.get_by_test_id("stExpandSidebarButton").click()
            page.locator(f"[data-testid=stSidebarNavLink][href$='/{where}']").click()
            page.wait_for_url(f"**/{where}*")
            expect(page.locator("[data-testid=stSidebar]")).to_have_attribute(
                "data-collapsed", "true"
            )
        wait_until_settled(page)
        assert main.evaluate("e => e.scrollWidth - e.clientWidth") == 0, where
        ground = "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
        assert max(page.evaluate(f"{ground}.match(/\\d+/g).slice(0, 3).map(Number)")) < 64
        expect(page.locator("[data-testid=stException]")).to_have_count(0)
    page.context.close()


def test_the_keyboard_alone(address: str, page: Page):
    """A third net, another page, a row of buttons: by Tab, letters, arrows, Enter and space."""
    page.goto(f"{address}/?{_query('compare', *NETS[:2])}")
    _nets_drawn(page, "compare_errors", set(NETS[:2]))
    wait_until_settled(page)
    _tab_to(page, f"{FOCUSED}.matches('button') && {FOCUSED}.innerText.includes('Runs (2)')")
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Runs")).to_be_visible()
    _tab_to(page, f"{FOCUSED}.closest('.st-key-compare_runs') && {FOCUSED}.matches('input')")
    page.keyboard.type(f"{NETS[2]} tiny")
    expect(page.get_by_role("option", name=f"{NETS[2]} tiny", exact=True)).to_be_visible()
    page.keyboard.press("Enter")
    _nets_drawn(page, "compare_errors", set(NETS))
    page.keyboard.press("Escape")  # the list
    page.keyboard.press("Escape")  # the drawer
    wait_until_settled(page)
    _tab_to(page, f"{FOCUSED}.href?.endsWith('/refinements')")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Small refinements")
    wait_until_settled(page)
    _tab_to(page, f"{FOCUSED}.closest('.st-key-refinements_measure [role=radiogroup]')")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    chosen = page.locator(".st-key-refinements_measure").get_by_role("radio", checked=True)
    expect(chosen).to_have_text("Response")


def _tab_to(page: Page, reached: str, most: int = 150) -> None:
    """Press Tab until the focus is there, and is to be seen."""
    for _press in range(most):
        page.keyboard.press("Tab")
        if page.evaluate(f"Boolean({reached})"):
            assert page.evaluate(f"{FOCUSED}.matches(':focus-visible')")
            return
    raise AssertionError(f"Tab does not lead there: {reached}")
