"""What all browser tests share."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.serve import PATIENCE


@pytest.fixture(autouse=True)
def _patient() -> None:
    expect.set_options(timeout=PATIENCE)
