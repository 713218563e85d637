"""The Train page in a real browser: start, watch, reload, kill, cancel, resume, compare.

pytest tests/browser/test_train.py
"""

from __future__ import annotations

import re
import signal
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from analysis import jobs
from analysis.runs import Run, list_runs, load_run
from tests.browser.serve import TRAINING, app_server, chromium, chromium_path, open_page
from tests.queues import end_all, wait_until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium"),
]

QUERY = "train_depths=20&train_epochs=3000"
"""Plain and residual, digits and the recipe `quick`: what the form begins with. So many epochs that
no machine ends them while the test looks elsewhere."""
EAGER = {"TORCHDYNAMO_DISABLE": "1"}
"""So long a training is compiled first, as long as all that the test looks at."""
POINTS = """() => {
    const chart = document.querySelector('.st-key-train_errors .js-plotly-plot');
    return chart && chart.calcdata ? Math.max(0, ...chart.calcdata.map(c => c.length)) : 0;
}"""


def _training(folder: Path) -> dict[str, int]:
    """The whole epochs of each run that trains at this moment."""
    found = [run for run in list_runs([folder]) if isinstance(run, Run)]
    return {run.id: run.status.epoch for run in found if run.state == "running"}


def _wait_for_points(page: Page, more_than: int) -> int:
    """Until the curves have more; how many they have."""
    page.wait_for_function(f"() => ({POINTS})() > {more_than}", timeout=TRAINING, polling=500)
    return page.evaluate(POINTS)


@pytest.fixture
def runs(tmp_path: Path):
    """A runs folder where two train at once. Its processes are ended with the test."""
    folder = tmp_path / "runs"
    jobs.set_at_a_time(folder, 2)
    yield folder
    end_all(folder)


def _kill_server(address: str) -> None:
    port = address.rpartition(":")[2]
    (server,) = [p for p in psutil.Process().children() if port in p.cmdline()]
    server.send_signal(signal.SIGKILL)


def test_a_training_is_started_watched_cancelled_and_resumed(runs: Path):
    """Two trainings grow over a reload and a SIGKILL of Streamlit; one is cancelled, resumed and
    goes on; both, cancelled, are in Compare."""
    with chromium() as browser:
        page = open_page(browser)
        with app_server(runs, **EAGER) as address:
            points = _start_and_reload(page, address)
            _kill_server(address)
        wait_until(lambda: max(_training(runs).values()) > points, seconds=TRAINING / 1000)
        with app_server(runs, **EAGER) as address:
            page.goto(f"{address}/train?{QUERY}")
            _wait_for_points(page, points)
            _cancel_and_resume(page, runs, min(_training(runs)))
            for run_id in _training(runs):
                wait_until(lambda name=run_id: _training(runs)[name], seconds=TRAINING / 1000)
                _cancel(page, runs, run_id)
            assert not _training(runs)
            _see_both_in_compare(page, address)


def _start_and_reload(page: Page, address: str) -> int:
    page.goto(f"{address}/train?{QUERY}")
    page.get_by_role("button", name="Start 2 trainings").click()
    expect(page.get_by_text("Queued:")).to_be_visible()
    points = _wait_for_points(page, 1)
    page.reload()
    return _wait_for_points(page, points)


def _cancel_and_resume(page: Page, runs: Path, run_id: str) -> None:
    """Until it is an epoch further than when it was cancelled."""
    epoch = _cancel(page, runs, run_id)
    stopped = page.locator(f".st-key-train_stopped_{_css(run_id)}")
    stopped.get_by_role("button", name="Resume").click()
    expect(stopped).to_have_count(0)
    wait_until(lambda: _training(runs).get(run_id, 0) > epoch, seconds=TRAINING / 1000)
    expect(page.locator(f".st-key-train_card_{_css(run_id)}")).to_be_visible()


def _cancel(page: Page, runs: Path, run_id: str) -> int:
    """Its whole epochs, which the page says."""
    css = _css(run_id)
    page.locator(f".st-key-train_card_{css} .st-key-train_cancel_{css} button").click()
    stopped = page.locator(f".st-key-train_stopped_{css}")
    expect(stopped).to_be_visible(timeout=TRAINING)
    run = load_run(runs / run_id)
    assert run.state == "cancelled"
    assert run.status.epoch > 0
    expect(stopped).to_contain_text(f"cancelled after {run.status.epoch} of 3000 epochs")
    return run.status.epoch


def _see_both_in_compare(page: Page, address: str) -> None:
    page.goto(address)  # Compare is the front page
    page.locator(".st-key-compare_choice button").first.click()
    for net in ("plain-20", "resnet-20"):
        page.get_by_role("combobox", name="Runs").fill(f"{net} quick epochs 3000")
        page.get_by_role("option", name=f"{net} quick epochs 3000").first.click()
        expect(
            page.get_by_text(re.compile(rf"{net}.*: cancelled after \d+ of 3000"))
        ).to_be_visible()


def _css(run_id: str) -> str:
    """A run's id as Streamlit writes it into the class of its elements."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in run_id)
