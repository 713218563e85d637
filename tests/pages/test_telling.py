"""What no page foresaw is said in words, in fragments too: `pytest tests/pages/test_telling.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analysis import faults


def _page() -> None:
    import streamlit as st

    from analysis.errors import LensError
    from pages.common import messages

    def part() -> None:
        if st.button("Look again"):
            raise LensError("nothing is wrong with {name}", name="*stars*")
        if st.button("Break"):
            raise ZeroDivisionError

    with messages.telling():
        messages.fragment(part)()
        st.caption("the rest")


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("RESIDUAL_LENS_CACHE", str(tmp_path))
    return AppTest.from_function(_page, default_timeout=60).run()


def test_an_error_of_ours_in_a_fragment_says_what_to_do_and_the_page_goes_on(
    page: AppTest, tmp_path: Path
):
    """No traceback, no note of a fault, its names as text, and the parts after it are drawn."""
    page.button[0].click().run()
    assert [error.value for error in page.error] == [r"nothing is wrong with \*stars\*"]
    assert not page.exception
    assert [caption.value for caption in page.caption] == ["the rest"]
    assert not (tmp_path / faults.LOG).exists()


def test_any_other_error_in_a_fragment_is_said_once_and_kept(page: AppTest, tmp_path: Path):
    """The sentence that names the file with its traceback, not a second one for the page."""
    page.button[1].click().run()
    (error,) = page.error
    assert faults.LOG in error.value
    assert "ZeroDivisionError" in (tmp_path / faults.LOG).read_text()
    assert len(page.exception) == 1
