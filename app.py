"""Residual Lens: the only list of pages, and the frame around them; nothing else.

Start it with `streamlit run app.py`. Pages live in pages/, one level down, so that Streamlit's
own discovery finds none and every request, a deep link too, comes through this file.
"""

from __future__ import annotations

import streamlit as st

from analysis.text import _
from pages.common.language import choose_language

# An emoji, not an icon name: Streamlit would fetch that from the network for the browser tab.
st.set_page_config(
    page_title="Residual Lens",
    page_icon="🔎",
    layout="wide",
    initial_sidebar_state=240,
)

# Streamlit leaves six lines free above a page; the figures are what should be seen at once.
st.html(
    "<style>[data-testid=stMainBlockContainer]"
    " {padding: 2.5rem clamp(1rem, 3vw, 2.5rem) 4rem}</style>"
)

choose_language()

# In every session's language, so made here and not at import. url_path is the file's name.
PAGES = {
    _("Evidence"): [
        st.Page(
            "pages/evidence/compare.py",
            title=_("Compare"),
            icon=":material/compare_arrows:",
            url_path="compare",
            default=True,
        ),
        st.Page(
            "pages/evidence/argument.py",
            title=_("The argument"),
            icon=":material/balance:",
            url_path="argument",
        ),
        st.Page(
            "pages/evidence/complexity.py",
            title=_("Complexity"),
            icon=":material/speed:",
            url_path="complexity",
        ),
        st.Page(
            "pages/evidence/glossary.py",
            title=_("Glossary"),
            icon=":material/translate:",
            url_path="glossary",
        ),
        st.Page(
            "pages/evidence/about.py",
            title=_("Reading guide"),
            icon=":material/menu_book:",
            url_path="about",
        ),
    ],
    _("Training"): [
        st.Page(
            "pages/training/train.py",
            title=_("Train"),
            icon=":material/play_circle:",
            url_path="train",
        ),
        st.Page(
            "pages/training/import_net.py",
            title=_("Bring your own net"),
            icon=":material/upload_file:",
            url_path="import_net",
        ),
    ],
    _("Lens"): [
        st.Page(
            "pages/lens/image.py",
            title=_("Inspect an image"),
            icon=":material/image_search:",
            url_path="image",
        ),
    ],
}

page = st.navigation(PAGES)
with st.sidebar:
    st.caption(
        _(
            "**Residual Lens** shows why residual nets train and plain nets of the same depth do "
            "not: He, Zhang, Ren and Sun, *Deep Residual Learning for Image Recognition*, "
            "CVPR 2016."
        )
    )
page.run()
