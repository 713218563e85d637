"""What benchmarks of a server under load share: tabs, times and errors, the server's processes.

Used by `bench_classroom.py`, `bench_inspect.py`, `bench_soak.py` and `tests/browser/`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import psutil
from playwright.async_api import Page, async_playwright

from tests.browser.serve import ARGUMENTS, PATIENCE, chromium_path

IDLE = "[data-test-script-state=notRunning]"
EXCEPTION = "[data-testid=stException]"


@dataclass(frozen=True, order=True)
class Done:
    """One thing that a session did."""

    seconds: float
    """From it to the end of the page's run."""
    kind: str
    name: str
    minute: float
    """Since all began."""


@dataclass
class Found:
    """What happened to all sessions."""

    done: list[Done] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    busy: int = 0
    began: float = field(default_factory=time.perf_counter)

    def seconds(self, kinds: str = "") -> list[float]:
        """Of all that was done whose kind begins so."""
        return [one.seconds for one in self.done if one.kind.startswith(kinds)]

    def print_times(self) -> None:
        """A line per kind of change."""
        for kind in dict.fromkeys(one.kind for one in self.done):
            _print_times(kind, [one.seconds for one in self.done if one.kind == kind])

    def print_together(self, kinds: str) -> None:
        """One line for all kinds that begin so."""
        if every := self.seconds(kinds):
            _print_times(f"every {kinds}", every)

    def print_slowest(self, kinds: str = "", count: int = 10) -> None:
        """What took longest, of all that was done whose kind begins so."""
        of_these = (one for one in self.done if one.kind.startswith(kinds))
        for one in sorted(of_these, reverse=True)[:count]:
            print(f"  {one.seconds:.1f} s: {one.kind} {one.name}, minute {one.minute:.1f}")

    def print_errors(self) -> None:
        """How many, and the first ten that differ."""
        print(f"errors: {len(self.errors)}")
        for error in list(dict.fromkeys(self.errors))[:10]:
            print(f"  {error}")


def _print_times(kind: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    late = ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)]
    print(
        f"{kind}: {len(ordered)} times, median {statistics.median(ordered):.2f} s, "
        f"95 % {late:.2f} s, slowest {ordered[-1]:.2f} s"
    )


@asynccontextmanager
async def tabs(count: int, found: Found) -> AsyncGenerator[list[Page]]:
    """Tabs of one Chromium, each a session of its own, whose scripts' errors are counted."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        pages = []
        for _number in range(count):
            context = await browser.new_context(viewport={"width": 1200, "height": 800})
            page = await context.new_page()
            page.set_default_timeout(PATIENCE)
            page.on("pageerror", lambda error: found.errors.append(str(error)))
            pages.append(page)
        yield pages
        await browser.close()


async def settled(page: Page) -> None:
    """The script of the session has ended."""
    await page.wait_for_timeout(50)
    await page.locator(IDLE).wait_for(state="attached")


@asynccontextmanager
async def timing(found: Found, kind: str, name: str = "") -> AsyncGenerator[None]:
    """Note the seconds of what is done within; whatever goes wrong is noted as well."""
    start = time.perf_counter()
    try:
        yield
        minute = (start - found.began) / 60
        found.done.append(Done(time.perf_counter() - start, kind, name, minute))
    except Exception as error:  # whatever it is, it is counted
        found.errors.append(f"{kind}: {type(error).__name__}: {error}"[:300])


async def timed(
    found: Found, kind: str, work: Awaitable[object], page: Page, name: str = ""
) -> None:
    """Do it, wait for the page, note the seconds; whatever goes wrong is noted as well."""
    async with timing(found, kind, name):
        await work
        await settled(page)
    for shown in await page.locator(EXCEPTION).all_inner_texts():
        found.errors.append(f"{kind}: {shown}"[:300])


async def give(page: Page, file: dict) -> None:
    """Upload a picture in place of the one before."""
    before = page.locator("[data-testid=stFileUploaderFileName]")
    if await before.count():
        await page.get_by_role("button", name="Remove").first.click()
        await settled(page)
    await page.locator("[data-testid=stFileUploaderDropzoneInput]").set_input_files([file])
    await page.get_by_text(f"{file['name']}, ").wait_for()


SERVER, ASKED = "streamlit", "analysis.lens.asking"
"""An argument of a server, and of the process that it asks."""


def memory(*words: str) -> float:
    """Resident, of the servers that this process has started and of the processes they ask, in MB.

    Args:
        words: `SERVER` or `ASKED`, for that kind alone.
    """
    total = 0
    for one in _started(*(words or (SERVER, ASKED))):
        with suppress(psutil.Error):
            total += one.memory_info().rss
    return total / 1e6


def server() -> psutil.Process:
    """The server that this process has started."""
    return _started(SERVER)[0]


def _started(*words: str) -> list[psutil.Process]:
    """What this process has started, and what that has, with one of these words as an argument."""
    found = []
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended meanwhile
            if set(words) & set(one.cmdline()):
                found.append(one)
    return found
