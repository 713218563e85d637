"""A fresh server of the app on a free port, and a Chromium that talks to nobody else.

Used by the browser tests and by `screenshots.py`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlparse

from playwright.sync_api import Browser, Page, expect, sync_playwright

Found = TypeVar("Found")
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120_000
"""Milliseconds that a page has to show something. It takes a few seconds where the machine has
nothing else to do, and two cores may have two tests with their servers, trainings and browsers."""
PAGES = ["", "refinements", "argument", "runs", "complexity", "glossary", "about", "train",
         "import_net", "image"]  # fmt: skip
"""The addresses of all pages, in the order of the list."""
TRAINING = 300_000
"""Milliseconds that a tiny training may take, from its place in the queue to its last figure."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str | None:
    """The browser: $CHROMIUM, or the system's; None where there is none, so that tests skip.

    With CI=true it is one that does not start instead, so that they fail: there, a missing browser
    is a mistake.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    found = [os.environ.get("CHROMIUM"), *map(shutil.which, names)]
    missing = "/usr/bin/chromium" if os.environ.get("CI") == "true" else None
    return next((path for path in found if path), missing)


@contextmanager
def app_server(
    runs: Path | str | None = None, python: str = sys.executable, **more: str
) -> Generator[str]:
    """The address of a server that shows the bundled runs and those in `runs`.

    Args:
        runs: a folder of runs.
        python: what runs the server.
        more: variables of its environment.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [python, "-m", "streamlit", "run", str(ROOT / "app.py")]
    options = {
        "server.address": "127.0.0.1",
        "server.port": port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
    }
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    environment = {**os.environ, **more}
    if runs is not None:
        environment["RESIDUAL_LENS_RUNS"] = str(runs)
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait_until_healthy(address, process, log)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait_until_healthy(address: str, process: subprocess.Popen, log: IO[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            log.seek(0)
            raise RuntimeError(f"the server ended:\n{log.read().decode()}")
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server did not come up in 60 s")


@contextmanager
def chromium() -> Generator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Browser, *, width: int = 1400, height: int = 1000, **context: Any) -> Page:
    """A page in a context of its own, with patience."""
    opened = browser.new_context(viewport={"width": width, "height": height}, **context).new_page()
    opened.set_default_timeout(PATIENCE)
    return opened


_SETTLED = """(quiet) => {
    if (!window.lastChange) {
        window.lastChange = performance.now();
        window.runs = 0;
        const note = changes => {
            window.lastChange = performance.now();
            window.runs += changes.some(one => one.attributeName === "data-test-script-state");
        };
        const all = {subtree: true, childList: true, attributes: true, characterData: true};
        new MutationObserver(note).observe(document.documentElement, all);
    }
    const moves = one => one.playState === "running"
        && one.effect.getComputedTiming().endTime !== Infinity;
    return document.querySelector("[data-test-script-state=notRunning]")
        && !document.getAnimations().some(moves)
        && !document.querySelector(
            "[data-testid=stStatusWidget], [data-stale=true], [data-testid=stSkeleton]")
        && performance.now() - window.lastChange > quiet;
}"""


def wait_until_settled(page: Page, quiet: float = 1500) -> None:
    """Until the page's script has run, all that it asked for is drawn, nothing is stale (faded) or
    in transition, and nothing has changed for a while.

    Args:
        page: any of the app's.
        quiet: milliseconds without a change.
    """
    page.wait_for_function(_SETTLED, arg=quiet, polling=100)


def look_at(page: Page, look: Callable[[], Found]) -> Found:
    """What is found on a page that has settled, and has not run again (faded) meanwhile.

    Pages run again by themselves where the connection was lost and came back, as on a busy machine;
    one that always does is looked at as it is.
    """
    for _look in range(5):
        wait_until_settled(page)
        runs = page.evaluate("window.runs")
        found = look()
        if page.evaluate("window.runs") == runs:
            break
    return found


def import_checkpoint(page: Page, address: str, file: Path, net: str) -> None:
    """Bring a file, which is found to be this net, and import it; the digits measure its error."""
    page.goto(f"{address}/import_net")
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text(f"Found {net}")).to_be_visible()
    # The field is left by the press of the button: the press must not be lost.
    page.get_by_label("Images to measure its error on").fill("digits")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("Imported as")).to_be_visible()


def watch_requests(page: Page) -> list[str]:
    """A list that fills with the addresses the page asks for outside this machine."""
    outside: list[str] = []

    def note(request) -> None:
        address = urlparse(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname != "127.0.0.1":
            outside.append(request.url)

    page.on("request", note)
    page.on("websocket", lambda socket: note(socket))
    return outside
