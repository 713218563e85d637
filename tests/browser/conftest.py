"""What all browser tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.serve import PATIENCE, app_server, chromium


@pytest.fixture(autouse=True)
def _patient() -> None:
    expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests of a module."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    """A server for all tests of a module, over its `runs`; the first test finds it fresh."""
    with app_server(runs) as served:
        yield served
