"""An hour of load: five tabs over all pages while nets train; does anything gather?

    python tests/benchmarks/bench_soak.py [--minutes 60] [--tabs 5] [--pace 10]

A real server on 127.0.0.1 over the bundled runs and a folder of its own, and tabs of one Chromium,
each a session: they go from page to page, change a few widgets on each, one every 10 s like the
students of `bench_classroom.py`, upload pictures to Inspect and reload. Meanwhile one small net
trains on the digits, with the priority that the queue gives, over and over with the same seed, and
every finished run is compared with one that was trained before the load. Prints the memory of the
server and of the process that it asks, the server's threads and open files, by quarter, the times
of all changes, and which of these does not hold:

- memory: the median of the last quarter is less than 5 % above that of the second;
- threads and open files: the same, with 5 for chance;
- the slowest change of a widget takes less than 2 s;
- every number and weight of the trainings is the same bits as without load.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from playwright.async_api import ElementHandle, Error, Page

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from analysis.jobs.processes import lower_priority  # noqa: E402
from analysis.runs import load_run  # noqa: E402
from tests.benchmarks.bench_faults import same_bits  # noqa: E402
from tests.benchmarks.load import ASKED, Found, give, memory, server, tabs, timed  # noqa: E402
from tests.browser.serve import PAGES, app_server  # noqa: E402
from tests.lens.bad_files import encoded, photo  # noqa: E402

CHANGES = 4
"""Of widgets, at each look at a page."""
TRAINED_ALONE = "alone"


@dataclass
class Soak:
    """What was seen."""

    found: Found = field(default_factory=Found)
    samples: list[dict[str, float]] = field(default_factory=list)
    trained: int = 0
    """Trainings that ended under load."""
    different: int = 0
    """Those of them whose numbers or weights are others than without load."""

    def quarters(self) -> pd.DataFrame:
        """Medians of memory (MB), and of the server's threads and files, one row per quarter."""
        samples = pd.DataFrame(self.samples)
        quarter = pd.cut(samples.pop("seconds"), 4, labels=[1, 2, 3, 4])
        return samples.groupby(quarter, observed=True).median()

    def gathered(self) -> pd.Series:
        """The last quarter's median of each by the second's."""
        quarters = self.quarters()
        return quarters.loc[4] / quarters.loc[2]

    def slowest(self) -> float:
        """Seconds of the slowest change of a widget."""
        return max(self.found.seconds("change"), default=0.0)


async def visitor(
    page: Page, address: str, number: int, until: float, pace: float, found: Found
) -> None:
    """One session: a page, some changes, the next page; a new session at Inspect, for an upload."""
    chance = random.Random(number)
    first = step = 2 * number
    await asyncio.sleep(5 * number)  # they come one after the other
    while time.monotonic() < until:
        where = PAGES[step % len(PAGES)]
        if where == "image" or step == first:
            query = "?image_source=Upload" if where == "image" else ""
            await timed(found, "open", page.goto(f"{address}/{where}{query}"), page)
        else:
            await timed(found, f"visit /{where}", follow(page, where), page)
        if where == "image":
            data = encoded(photo(300 + step, 200 + number))
            file = {"name": f"{number}-{step}.png", "mimeType": "image/png", "buffer": data}
            await timed(found, "upload", give(page, file), page)
        for _change in range(CHANGES):
            await asyncio.sleep(pace * chance.uniform(0.5, 1.5))
            if time.monotonic() >= until:
                return
            main = page.get_by_test_id("stMain")
            widgets = main.get_by_role("radio").or_(main.get_by_role("slider"))
            there = await widgets.element_handles()
            if there:
                widget = there[chance.randrange(len(there))]
                await timed(found, f"change /{where}", change(widget), page, await name(widget))
        step += 1


async def follow(page: Page, where: str) -> None:
    """By the list of pages, whose first is Compare, in the same session."""
    links = "[data-testid=stSidebarNavLink]"
    await page.locator(f"{links}[href$='/{where}']" if where else links).first.click()
    await page.get_by_role("heading", level=1).first.wait_for()


async def name(widget: ElementHandle) -> str:
    """What it says; empty where the page has put another in its place meanwhile."""
    with suppress(Error):
        return await widget.get_attribute("aria-label") or await widget.inner_text()
    return ""


async def change(widget: ElementHandle) -> None:
    """A button of a row, or a step of a slider; no tab presses what starts or deletes something."""
    try:
        await widget.scroll_into_view_if_needed()
        if await widget.get_attribute("type") == "range":
            await widget.press("ArrowRight")
        else:
            await widget.click(force=True)
    except Error as error:
        if "not attached" not in str(error):  # as on a page that refreshes itself
            raise


async def train(folder: Path, name: str, epochs: int) -> Path:
    """One training by the command line, to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "analysis", "train", "--net", "resnet-8-w4", "--data", "digits",
        "--recipe", "quick", "--epochs", str(epochs), "--device", "cpu", "--threads", "1",
        "--no-compile", "--name", name, "--runs", str(folder), cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    lower_priority(process.pid, idle=True)  # as the queue does, which trains for the app
    if await process.wait():
        raise RuntimeError(f"{name} did not train to its end")
    return folder / name


async def train_on(folder: Path, alone: Path, epochs: int, until: float, seen: Soak) -> None:
    """One training after the other, each compared and removed, so that the folder stays small."""
    while time.monotonic() < until:
        path = await train(folder, f"loaded-{seen.trained}", epochs)
        seen.trained += 1
        seen.different += not same_bits(load_run(path), load_run(alone))
        shutil.rmtree(path)


async def sample(until: float, every: float, seen: Soak) -> None:
    """Memory, and the server's threads and open files, every few seconds."""
    process, start = server(), time.monotonic()
    files = getattr(process, "num_fds", None) or process.num_handles
    while time.monotonic() < until:
        with process.oneshot():
            row = {
                "seconds": time.monotonic() - start,
                "memory": memory(),
                "asked": memory(ASKED),
                "threads": process.num_threads(),
                "files": files(),
            }
        seen.samples.append(row)
        await asyncio.sleep(every)


async def load_all(page: Page, address: str, found: Found) -> None:
    """What is loaded once for all sessions, such as torch and the first nets: that is no growth."""
    await timed(found, "first", page.goto(f"{address}/image"), page)
    for panel in ("Attribution", "What excites a channel"):
        await timed(found, "first", page.get_by_role("radio", name=panel).click(force=True), page)


async def hold(
    minutes: float, count: int, every: float, pace: float, epochs: int, folder: Path
) -> Soak:
    """Train alone, then all at once."""
    seen = Soak()
    alone = await train(folder, TRAINED_ALONE, epochs)
    with app_server(folder) as address:
        async with tabs(count, seen.found) as pages:
            await load_all(pages[0], address, seen.found)
            until = time.monotonic() + 60 * minutes
            await asyncio.gather(
                sample(until, every, seen),
                train_on(folder, alone, epochs, until, seen),
                *(visitor(page, address, number, until, pace, seen.found)
                  for number, page in enumerate(pages)),
            )  # fmt: skip
    return seen


def complaints(seen: Soak) -> list[str]:
    """What does not hold."""
    gathered, quarters = seen.gathered(), seen.quarters()
    found = []
    if gathered["memory"] > 1.05:
        found.append(f"memory grew by {100 * (gathered['memory'] - 1):.1f} %")
    for name in ("threads", "files"):
        if quarters[name][4] > 1.05 * quarters[name][2] + 5:
            found.append(f"{name}: {quarters[name][2]:.0f}, later {quarters[name][4]:.0f}")
    if seen.slowest() > 2:
        found.append(f"a change of a widget took {seen.slowest():.1f} s")
    if seen.different:
        found.append(f"{seen.different} of {seen.trained} trainings have other numbers")
    return found


def main() -> None:
    """Hold, print."""
    parser = argparse.ArgumentParser(description="An hour of load.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--tabs", type=int, default=5)
    parser.add_argument("--pace", type=float, default=10.0, help="seconds between two changes")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between samples")
    parser.add_argument("--epochs", type=int, default=20, help="of each training")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        work = hold(given.minutes, given.tabs, given.every, given.pace, given.epochs, Path(place))
        seen = asyncio.run(work)
    print(f"{given.tabs} tabs, {given.minutes:g} minutes, a change every {given.pace:g} s in each")
    tell(seen)


def tell(seen: Soak) -> None:
    """What was found, and what of it is not as it should be."""
    print("Medians of the server by quarter (memory in MB, of all and of the process asked):")
    print(seen.quarters().round(0).to_string())
    seen.found.print_times()
    seen.found.print_slowest("change")
    print(f"trainings under load: {seen.trained}, with other bits: {seen.different}")
    seen.found.print_errors()
    for complaint in complaints(seen) or ["All of it holds."]:
        print(complaint)


if __name__ == "__main__":
    main()
