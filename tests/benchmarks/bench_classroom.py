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
import sys
import time
from pathlib import Path

from playwright.async_api import Page

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pages.common.classroom import SWITCH  # noqa: E402
from tests.benchmarks.load import Found, give, server, tabs, timed  # noqa: E402
from tests.browser.serve import app_server  # noqa: E402
from tests.lens.bad_files import encoded, photo  # noqa: E402

CHANGES = {
    "image": ["Activations", "Attribution", "How the prediction forms", "Predictions and layers"],
    "": ["Fig. 6", "Fig. 7"],
    "refinements": ["Response", "Gradient norm", "rms(F) / rms(x)"],
}
"""By page: buttons that are pressed in turn, where the page has them."""
BUSY = "The server is busy"


async def student(page: Page, address: str, number: int, until: float, found: Found) -> None:
    """One session: mostly on Inspect, the others on Compare and Refinements."""
    where = ("image", "image", "image", "", "refinements")[number % 5]
    chance = random.Random(number)
    query = "?image_source=Upload" if where == "image" else ""
    await asyncio.sleep(chance.uniform(0, 10))
    await timed(found, "page", page.goto(f"{address}/{where}{query}"), page)
    step = 0
    while time.monotonic() < until:
        begin = time.monotonic()
        if where == "image" and step % 6 == 0:
            data = encoded(photo(300 + number, 200 + step))
            file = {"name": f"{number}-{step}.png", "mimeType": "image/png", "buffer": data}
            await timed(found, "upload", give(page, file), page)
        else:
            await timed(found, "change", press(page, CHANGES[where], step), page)
        found.busy += await page.get_by_text(BUSY).count() > 0
        step += 1
        await asyncio.sleep(max(0, begin + chance.uniform(8, 12) - time.monotonic()))


async def press(page: Page, names: list[str], step: int) -> None:
    """The next of the buttons of the page, which Compare has plain and the others in rows."""
    role = "radio" if names is not CHANGES[""] else "button"
    button = page.get_by_role(role, name=names[step % len(names)], exact=True)
    await button.first.click(force=True)
    await page.wait_for_timeout(50)


def server_memory() -> float:
    """In MB."""
    return server().memory_info().rss / 1e6


async def hold(address: str, sessions: int, minutes: float, found: Found) -> list[float]:
    """All sessions at once; the server's memory at the end of each quarter."""
    memory = [server_memory()]
    async with tabs(sessions, found) as pages:
        until = time.monotonic() + 60 * minutes
        tasks = [asyncio.create_task(student(page, address, number, until, found))
                 for number, page in enumerate(pages)]  # fmt: skip
        for _quarter in range(4):
            await asyncio.sleep(15 * minutes)
            memory.append(server_memory())
        for task in await asyncio.gather(*tasks, return_exceptions=True):
            if task is not None:
                found.errors.append(str(task)[:300])
    return memory


def main() -> None:
    """Serve, let them work, print."""
    parser = argparse.ArgumentParser(description="A class on one server.")
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    found = Found()
    with app_server(None, **{SWITCH: "1"}) as address:
        memory = asyncio.run(hold(address, options.sessions, options.minutes, found))
    print(f"{options.sessions} sessions, {options.minutes:g} minutes")
    found.print_times()
    print(f"busy, try again: {found.busy} times")
    print("memory of the server, MB: " + ", ".join(f"{value:.0f}" for value in memory))
    found.print_errors()


if __name__ == "__main__":
    main()
