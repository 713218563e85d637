"""The Argument page in a real browser: construct over a reload, train on, fit the identity.

pytest tests/browser/test_argument.py
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from analysis.jobs import list_jobs, start_worker
from analysis.specs import DataSpec, NetSpec, Recipe
from analysis.training import prepare_run, train_run
from tests.browser.serve import TRAINING, app_server, chromium, chromium_path, open_page
from tests.queues import nobody_works

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium"),
]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A trained plain-8-w4 among the user's runs."""
    recipe = Recipe.parse("quick", epochs=1, flip=False)
    spec, data = NetSpec.parse("plain-8-w4"), DataSpec.parse("digits")
    return train_run(prepare_run(tmp_path / "runs", spec, recipe, data, run_id="tiny")).path


def test_a_net_is_constructed_over_a_reload_and_trained_on(base: Path):
    """Asked for on the page, made by the queue; equal errors; then its training beside scratch."""
    runs = base.parent
    with chromium() as browser, app_server(runs) as address:
        page = open_page(browser, height=1200)
        with nobody_works(runs):  # a tiny net would be made before the page has shown that it waits
            page.goto(f"{address}/argument")
            page.get_by_text("Construct another net").click()
            page.wait_for_timeout(1500)  # it opens with a motion, which closes lists inside
            _choose(page, "argument_base", "tiny")
            asked = page.get_by_text(re.compile(r"construct \S*tiny"))
            expect(asked).to_be_visible()  # its depths are offered
            _choose(page, "argument_depth_wanted", "14")
            page.get_by_role("button", name="Construct", exact=True).click()
            waiting = page.get_by_text("plain-14-w4 from plain-8-w4: waiting in the queue")
            expect(waiting).to_be_visible()
            page.reload()  # the queue makes it, not the page
            expect(waiting).to_be_visible()
        start_worker(runs)
        built = page.get_by_role("combobox", name="Constructed net")
        named = re.compile("plain-14-w4 built from plain-8-w4")
        expect(built).to_have_value(named, timeout=TRAINING)
        same = page.get_by_text(re.compile(r"Training error: \S+ % in both nets"))
        expect(same).to_be_visible()
        expect(page.get_by_text("Largest absolute difference")).to_be_visible()
        train = page.get_by_role("button", name="Train it on, and the same depth from scratch")
        train.click()
        expect(page.get_by_text(re.compile("From scratch: .* %"))).to_be_visible(timeout=TRAINING)
        expect(page.get_by_text(re.compile("Trained on: .* %"))).to_be_visible(timeout=TRAINING)
        still = page.get_by_text(re.compile(r"^plain-14-w4 .*: (queued|epoch \d)"))
        expect(still).to_have_count(0, timeout=TRAINING)
    made = {run.net for run in list_jobs(runs) if run.state == "finished"}
    assert made == {"plain-8-w4", "plain-14-w4"}


def test_the_identity_is_fitted_and_read_in_chinese(tmp_path: Path):
    """A mistake is said in the language of the address; mended, the loss is drawn."""
    with chromium() as browser, app_server(tmp_path / "runs") as address:
        page = open_page(browser, height=1200)
        page.goto(f"{address}/argument?lang=zh_CN")
        expect(page.get_by_role("heading", name="论文的论证")).to_be_visible()
        page.get_by_text("在此拟合").click()
        layers = page.get_by_label("层数", exact=True)
        layers.fill("3")
        layers.press("Enter")
        page.get_by_role("button", name="拟合", exact=True).click()
        expect(page.get_by_text("layers 必须是 2 到 64 的偶数")).to_be_visible()
        layers.fill("2")
        layers.press("Enter")
        page.get_by_label("步数", exact=True).fill("50")
        page.get_by_label("步数", exact=True).press("Enter")
        page.get_by_role("button", name="拟合", exact=True).click()
        expect(page.get_by_text("拟合恒等映射").first).to_be_visible()


def _choose(page: Page, key: str, text: str) -> None:
    """By its whole name: Enter takes what is most like it."""
    box = page.locator(f".st-key-{key} input")
    box.click()  # opens the list; to fill the field does not
    box.fill(text)
    page.get_by_role("option", name=text, exact=True).click()
