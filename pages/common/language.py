"""Which language the app speaks: the address's `?lang=`, else the browser's, else English."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from analysis import text
from analysis.text import LANGUAGES

_KEY = "language"
_frame = st.components.v2.component(
    "residual_lens_frame",
    html="<span hidden></span>",
    js=(Path(__file__).with_name("assets") / "frame.js").read_text(encoding="utf-8"),
)


def frame(page: str) -> None:
    """Tell the browser the page's language; on a phone, close the drawer once a page is chosen.

    When the browser's theme changes, the script runs again, so that the figures follow.
    A page that has something new at its top counts "frame_top" in the session up, to be scrolled.

    Args:
        page: the title of the page that is shown.
    """
    code = st.session_state.get(_KEY) or "en"
    top = st.session_state.get("frame_top", 0)
    theme = st.context.theme.type or "light"
    _frame(
        key="frame",
        data={"lang": code.replace("_", "-"), "page": page, "top": top, "theme": theme},
        on_theme_change=lambda: None,
        height="content",
    )


def choose_language() -> None:
    """The switch in the sidebar. Call it in app.py before the pages get their titles."""
    # A fragment reruns in a thread of its own without app.py, so the session is asked each time.
    text.follow(_of_session)
    asked = st.query_params.get("lang")
    code = text.best_language(asked) if asked else _of_link()
    codes = list(LANGUAGES)
    with st.sidebar:
        chosen = st.selectbox(
            "Language · 语言",
            codes,
            index=codes.index(code),
            format_func=LANGUAGES.__getitem__,
            key=_KEY,
        )
    if chosen != code or (chosen != "en" and not asked):
        st.query_params["lang"] = chosen


def _of_link() -> str:
    """The language of an address without `lang`: the browser's, but of a link to a view English.

    In a link stand the words of its controls, in the language of whoever made it; a link made in
    another language than English says so.
    """
    return "en" if st.query_params else text.best_language(st.context.locale)


def _of_session() -> str | None:
    if get_script_run_ctx(suppress_warning=True) is None:
        return None
    return st.session_state.get(_KEY)
