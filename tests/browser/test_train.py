"""The Train page in a real browser: start, watch, reload, cancel, resume, finish, compare.

pytest tests/browser/test_train.py
"""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.browser.serve import TRAINING, app_server, chromium, chromium_path, open_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium"),
]

QUERY = "train_depths=20"
"""Plain and residual, digits and the recipe `quick`: what the form begins with."""
POINTS = """() => {
    const chart = document.querySelector('.st-key-train_errors .js-plotly-plot');
    return chart && chart.calcdata ? Math.max(0, ...chart.calcdata.map(c => c.length)) : 0;
}"""


def _statuses(runs: Path) -> dict[str, dict]:
    found = {path.parent.name: path for path in runs.glob("*/status.json")}
    return {name: json.loads(path.read_text()) for name, path in found.items()}


def _wait_for_points(page: Page, number: int) -> None:
    page.wait_for_function(f"() => ({POINTS})() >= {number}", timeout=TRAINING, polling=500)


@pytest.fixture
def runs(tmp_path: Path):
    """A runs folder whose processes are ended with the test."""
    yield tmp_path / "runs"
    for status in _statuses(tmp_path / "runs").values():
        if status["pid"] and status["state"] == "running" and psutil.pid_exists(status["pid"]):
            psutil.Process(status["pid"]).send_signal(signal.SIGKILL)


def _kill_server(address: str) -> None:
    port = address.rpartition(":")[2]
    (server,) = [p for p in psutil.Process().children() if port in p.cmdline()]
    server.send_signal(signal.SIGKILL)


def test_a_training_is_started_watched_cancelled_and_resumed(runs: Path):
    """Two trainings grow over a reload and a SIGKILL of Streamlit; one is cancelled and resumed;
    both end in Compare."""
    with chromium() as browser:
        page = open_page(browser)
        with app_server(runs) as address:
            _start_and_reload(page, address)
            _kill_server(address)
        with app_server(runs) as address:
            page.goto(f"{address}/train?{QUERY}")
            _wait_for_points(page, 4)
            _cancel_and_resume(page, runs)
            _see_both_in_compare(page, address, runs)


def _start_and_reload(page: Page, address: str) -> None:
    page.goto(f"{address}/train?{QUERY}")
    page.get_by_role("button", name="Start 2 trainings").click()
    expect(page.get_by_text("Queued:")).to_be_visible()
    _wait_for_points(page, 2)
    page.reload()
    _wait_for_points(page, 3)


def _cancel_and_resume(page: Page, runs: Path) -> None:
    cancelled = next(name for name, s in _statuses(runs).items() if s["state"] == "running")
    page.locator(f".st-key-train_cancel_{_css(cancelled)} button").click()
    resume = page.locator(f".st-key-train_resume_{_css(cancelled)} button")
    expect(resume).to_be_visible(timeout=TRAINING)
    assert _statuses(runs)[cancelled]["state"] == "cancelled"
    resume.click()


def _see_both_in_compare(page: Page, address: str, runs: Path) -> None:
    expect(page.locator("[class*=st-key-train_card_]")).to_have_count(0, timeout=TRAINING)
    expect(page.get_by_text("Waiting (")).to_have_count(0, timeout=TRAINING)
    assert [s["state"] for s in _statuses(runs).values()] == ["finished", "finished"]
    page.goto(address)  # Compare is the front page
    for net in ("plain-20 quick", "resnet-20 quick"):
        page.get_by_role("combobox", name="Runs").fill(net)
        expect(page.get_by_role("option", name=net).first).to_be_visible()


def _css(run_id: str) -> str:
    """A run's id as Streamlit writes it into the class of its elements."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in run_id)
