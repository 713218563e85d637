"""Residual Lens: the only list of pages, and the frame around them; nothing else.

Start it with `streamlit run app.py`. Imported, as that command does, it is the server; run as a
script, once for each look at a page, it is the frame. The two are apart because Streamlit takes a
folder `pages` beside the script it runs for a list of pages of its own, and then the first deep
link to a new server ends at "Page not found". So what it runs is pages/common/start.py, which has
no such folder beside it and runs this file.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.scriptrunner import StopException

from analysis.runs.index import collect_seldom, one_look
from analysis.text import _
from pages.common import classroom, collector, messages
from pages.common.language import choose_language, frame

ROOT = Path(__file__).resolve().parent

# Streamlit leaves six lines free above a page; the figures are what should be seen at once.
STYLE = f"<style>{(ROOT / 'pages/common/assets/frame.css').read_text(encoding='utf-8')}</style>"


def list_pages() -> dict[str, list[st.Page]]:
    """Every page under its section, in this session's language; in a classroom those that show."""
    sections = {
        _("Evidence"): [
            page("evidence/compare.py", _("Compare"), "compare_arrows", default=True),
            page("evidence/refinements.py", _("Small refinements"), "layers"),
            page("evidence/argument.py", _("The argument"), "balance"),
            page("evidence/runs.py", _("Runs"), "table_rows"),
            page("evidence/complexity.py", _("Complexity"), "speed"),
            page("evidence/glossary.py", _("Glossary"), "translate"),
            page("evidence/about.py", _("Reading guide"), "menu_book"),
        ],
        _("Training"): [
            page("training/train.py", _("Train"), "play_circle"),
            page("training/import_net.py", _("Bring your own net"), "upload_file"),
        ],
        _("Lens"): [
            page("lens/image.py", _("Inspect an image"), "image_search"),
        ],
    }
    shown = {
        title: [one for one in found if classroom.has(one.url_path or "compare")]
        for title, found in sections.items()
    }
    return {title: found for title, found in shown.items() if found}


def page(file: str, title: str, icon: str, default: bool = False) -> st.Page:
    """A page by its file in pages/; its address is the file's name without .py."""
    path = ROOT / "pages" / file
    return st.Page(
        path, title=title, icon=f":material/{icon}:", url_path=path.stem, default=default
    )


def show() -> None:
    """The frame, and in it the page that was asked for."""
    collect_seldom()
    # An emoji, not an icon name: Streamlit would fetch that from the network for the browser tab.
    st.set_page_config(page_icon="🔎", layout="wide", initial_sidebar_state=256)
    st.html(STYLE)
    choose_language()
    asked = st.navigation(list_pages())
    st.set_page_config(page_title=f"{asked.title} · Residual Lens")
    with st.sidebar:
        st.caption(
            _(
                "**Residual Lens** shows why residual nets train and plain nets of the same depth "
                "do not: He, Zhang, Ren and Sun, *Deep Residual Learning for Image Recognition*, "
                "CVPR 2016."
            )
        )
        frame(asked.title)
    try:
        with one_look(), messages.telling():
            asked.run()
    except StopException:
        # By st.stop(). Passed on, it would keep Streamlit from forgetting the fragments of the page
        # before, and a late click there would draw one of them into this page.
        pass
    collector.pass_over_the_lasting()


if __name__ == "__main__":
    show()
else:
    import threading
    from collections.abc import AsyncGenerator
    from contextlib import asynccontextmanager

    import analysis.figures  # with plotly and pandas: before the first request
    from pages.common import cached

    if classroom.is_on():  # where somebody will surely look into a net
        import analysis.lens.asking

        analysis.lens.asking.prepare()

    @asynccontextmanager
    async def look_ahead(server: st.App) -> AsyncGenerator[None]:
        """At the runs, before somebody asks for a page."""
        threading.Thread(target=cached.look_ahead, daemon=True).start()
        yield

    app = st.App(
        ROOT / "pages" / "common" / "start.py",
        middleware=[Middleware(classroom.Doorkeeper)],
        lifespan=look_ahead,
    )
