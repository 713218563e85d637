"""A class on one server: sessions that change a widget and upload, and how long each waits.

    python tests/benchmarks/bench_classroom.py [--sessions 30] [--minutes 10]

A real server with RESIDUAL_LENS_CLASSROOM=1 on 127.0.0.1, over the bundled runs, and as many tabs
of one Chromium, each a session of its own: every 10 s a widget of Inspect, Refinements or Compare
is changed, every minute a picture uploaded. Prints the median and the 95th percentile of the time
from a change to the end of the page's run, of the slowest change, how often the server said that it
was busy, the errors, and the server's memory at the beginning and the end of each quarter.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

import psutil
from playwright.async_api import Page, async_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pages.common.classroom import SWITCH  # noqa: E402
from tests.browser.serve import ARGUMENTS, app_server, chromium_path  # noqa: E402
from tests.lens.bad_files import encoded, photo  # noqa: E402

IDLE = "[data-test-script-state=notRunning]"
CHANGES = {
    "image": ["Activations", "Attribution", "How the prediction forms", "Predictions and layers"],
    "": ["Iterations", "Epochs"],
    "refinements": ["Layer response", "Gradient norm", "rms(F)/rms(x)"],
}
"""By page: buttons that are pressed in turn, where the page has them."""
BUSY = "The server is busy"


class Class:
    """What happened to all sessions."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []
        self.busy = 0


async def student(page: Page, address: str, number: int, until: float, found: Class) -> None:
    """One session: mostly on Inspect, the others on Compare and Refinements."""
    where = ("image", "image", "image", "", "refinements")[number % 5]
    chance = random.Random(number)
    query = "?image_source=Upload" if where == "image" else ""
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    await asyncio.sleep(chance.uniform(0, 10))
    await timed(found, "page", page.goto(f"{address}/{where}{query}"), page)
    step = 0
    while time.monotonic() < until:
        begin = time.monotonic()
        try:
            if where == "image" and step % 6 == 0:
                data = encoded(photo(300 + number, 200 + step))
                file = {"name": f"{number}-{step}.png", "mimeType": "image/png", "buffer": data}
                await timed(found, "upload", give(page, file), page)
            else:
                await timed(found, "change", press(page, CHANGES[where], step), page)
            found.busy += await page.get_by_text(BUSY).count() > 0
            if await page.locator("[data-testid=stException]").count():
                found.errors.append(await page.locator("[data-testid=stException]").inner_text())
        except Exception as error:  # whatever it is, it is counted
            found.errors.append(f"{type(error).__name__}: {error}"[:300])
        step += 1
        await asyncio.sleep(max(0, begin + chance.uniform(8, 12) - time.monotonic()))


async def give(page: Page, file: dict) -> None:
    """Upload a picture in place of the one before."""
    before = page.locator("[data-testid=stFileUploaderFileName]")
    if await before.count():
        await page.get_by_role("button", name="Remove").first.click()
        await settled(page)
    await page.locator("[data-testid=stFileUploaderDropzoneInput]").set_input_files([file])
    await page.get_by_text(f"{file['name']}, ").wait_for()


async def press(page: Page, names: list[str], step: int) -> None:
    """The next of the buttons that are on the page."""
    button = page.get_by_role("radio", name=names[step % len(names)], exact=True)
    if not await button.count():
        button = page.get_by_role("radio").nth(
            step % max(await page.get_by_role("radio").count(), 1)
        )
    await button.first.click(force=True)
    await page.wait_for_timeout(50)


async def settled(page: Page) -> None:
    """The script of the session has ended."""
    await page.wait_for_timeout(50)
    await page.locator(IDLE).wait_for(state="attached")


async def timed(found: Class, kind: str, work, page: Page) -> None:
    start = time.perf_counter()
    await work
    await settled(page)
    found.seconds[kind].append(time.perf_counter() - start)


def server_memory() -> float:
    """Of the server, in MB."""
    children = psutil.Process().children(recursive=True)
    servers = [child for child in children if "streamlit" in " ".join(child.cmdline())]
    return sum(child.memory_info().rss for child in servers) / 1e6


async def hold(address: str, sessions: int, minutes: float, found: Class) -> list[float]:
    """All sessions at once; the server's memory at the end of each quarter."""
    memory = [server_memory()]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        pages = []
        for _number in range(sessions):
            context = await browser.new_context(viewport={"width": 1200, "height": 800})
            page = await context.new_page()
            page.set_default_timeout(60_000)
            pages.append(page)
        until = time.monotonic() + 60 * minutes
        tasks = [asyncio.create_task(student(page, address, number, until, found))
                 for number, page in enumerate(pages)]  # fmt: skip
        for _quarter in range(4):
            await asyncio.sleep(15 * minutes)
            memory.append(server_memory())
        for task in await asyncio.gather(*tasks, return_exceptions=True):
            if task is not None:
                found.errors.append(str(task)[:300])
        await browser.close()
    return memory


def main() -> None:
    """Serve, let them work, print."""
    parser = argparse.ArgumentParser(description="A class on one server.")
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    found = Class()
    with app_server(None, **{SWITCH: "1"}) as address:
        memory = asyncio.run(hold(address, options.sessions, options.minutes, found))
    print(f"{options.sessions} sessions, {options.minutes:g} minutes")
    for kind, seconds in found.seconds.items():
        ordered = sorted(seconds)
        late = ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)]
        print(
            f"{kind}: {len(ordered)} times, median {statistics.median(ordered):.2f} s, "
            f"95 % {late:.2f} s, slowest {ordered[-1]:.2f} s"
        )
    print(f"busy, try again: {found.busy} times")
    print("memory of the server, MB: " + ", ".join(f"{value:.0f}" for value in memory))
    print(f"errors: {len(found.errors)}")
    for error in list(dict.fromkeys(found.errors))[:10]:
        print(f"  {error}")


if __name__ == "__main__":
    main()
