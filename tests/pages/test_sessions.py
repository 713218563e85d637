"""What a session asks of a real server, and when: `pytest tests/pages/test_sessions.py`."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.benchmarks.visitor import visit
from tests.browser.serve import app_server

pytestmark = pytest.mark.trains


async def click_late(address: str) -> tuple[set[int], set[int]]:
    """A click on Small refinements that arrives when The argument is there, as far as its first
    figure: places on the page before and after it."""
    async with visit(address) as session:
        await session.open("refinements")
        seen = dict(session.elements)
        await session.open("argument", draws=False)
        there = dict(session.elements)
        session.elements = seen
        with suppress(TimeoutError):  # the server is silent about what is not there
            await asyncio.wait_for(session.press("Response"), 5)
        drawn = {path: one for path, one in session.elements.items() if one != seen.get(path)}
        return {path[1] for path in there if path[0] == 0}, {path[1] for path in drawn}


def test_a_late_click_on_the_page_before_draws_nothing_into_this_one():
    """Streamlit in the browser ends with "Bad delta path index" where such a place is missing."""
    with app_server() as address:
        there, drawn = asyncio.run(click_late(address))

    assert len(there) < 12
    assert not drawn
