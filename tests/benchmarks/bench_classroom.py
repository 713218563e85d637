"""A class on one server: sessions that change a widget and upload, and how long each waits.

    python tests/benchmarks/bench_classroom.py [--sessions 30] [--minutes 10] [--every 10]

A real server with RESIDUAL_LENS_CLASSROOM=1 on 127.0.0.1, over the bundled runs, and sessions that
draw nothing (`visitor.py`), since students' browsers are not the server's work: every 10 s each
presses a button of Inspect, Refinements or Compare, every minute it uploads a picture, not all at
the same moment. Prints the median and the 95th percentile of the time from a press to the end of
the page's run, how often the server said that it was busy, the errors, what a session was sent, and
the memory of the server and of the process that it asks, at the beginning and the end of each
quarter.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pages.common.classroom import SWITCH  # noqa: E402
from tests.benchmarks.load import Found, memory, timing  # noqa: E402
from tests.benchmarks.visitor import visit  # noqa: E402
from tests.browser.serve import app_server  # noqa: E402
from tests.lens.bad_files import encoded, photo  # noqa: E402

CHANGES = {
    "image": ["Activations", "Attribution", "How the prediction forms", "Predictions and layers"],
    "": ["Fig. 6", "Fig. 7"],
    "refinements": ["Response", "Gradient norm", "rms(F) / rms(x)"],
}
"""By page: buttons that are pressed in turn."""
BUSY = "The server is busy"


async def student(address: str, number: int, end: float, every: float, found: Found) -> int:
    """One session, mostly on Inspect, the others on Compare and Refinements; bytes it was sent."""
    where = ("image", "image", "image", "", "refinements")[number % 5]
    chance = random.Random(number)
    await asyncio.sleep(chance.uniform(0, min(60, (end - time.monotonic()) / 4)))
    async with visit(address) as session:
        async with timing(found, f"open /{where}"):
            await session.open(where, "image_source=Upload" if where == "image" else "")
        step = 0
        while time.monotonic() < end:
            begin = time.monotonic()
            if where == "image" and (step == 0 or (step + number) % 6 == 0):
                data = encoded(photo(300 + number, 200 + step))
                async with timing(found, "upload"):
                    await session.upload(f"{number}-{step}.png", data)
            else:
                async with timing(found, f"change /{where}"):
                    await session.press(CHANGES[where][step % len(CHANGES[where])])
            found.busy += session.shows(BUSY)
            step += 1
            pause = every * chance.uniform(0.8, 1.2)
            await asyncio.sleep(max(0, begin + pause - time.monotonic()))
        return session.received


async def hold(
    address: str, sessions: int, minutes: float, every: float, found: Found
) -> tuple[list[float], list[int]]:
    """All sessions at once: the server's memory over time, and bytes sent to each session."""
    taken = [memory()]
    end = time.monotonic() + 60 * minutes
    students = [
        asyncio.create_task(student(address, number, end, every, found))
        for number in range(sessions)
    ]
    for _quarter in range(4):
        await asyncio.sleep(15 * minutes)
        taken.append(memory())
    ended = await asyncio.gather(*students, return_exceptions=True)
    found.errors += [repr(one)[:300] for one in ended if isinstance(one, BaseException)]
    return taken, [one for one in ended if isinstance(one, int)]


def main() -> None:
    """Serve, let them work, print."""
    parser = argparse.ArgumentParser(description="A class on one server.")
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two changes")
    given = parser.parse_args()
    found = Found()
    with app_server(None, **{SWITCH: "1"}) as address:
        work = hold(address, given.sessions, given.minutes, given.every, found)
        taken, sent = asyncio.run(work)
    print(f"{given.sessions} sessions, {given.minutes:g} minutes")
    found.print_times()
    found.print_together("change")
    print(f"busy, try again: {found.busy} times")
    print(
        "memory of the server and the process it asks, MB: "
        + ", ".join(f"{value:.0f}" for value in taken)
    )
    print(f"sent to a session, median: {statistics.median(sent or [0]) / 1e6:.1f} MB")
    found.print_errors()


if __name__ == "__main__":
    main()
