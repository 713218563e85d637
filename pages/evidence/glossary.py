"""Glossary: the paper's terms in English and Chinese, with links to where the app shows them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from analysis.evidence.glossary import TERMS, Term
from analysis.text import _
from pages.common import classroom, show

_HERE = Path(__file__).parent
_WIDTHS = [2, 2, 5, 1, 2]


def link(page: str) -> None:
    """To a page of the app, under its own title."""
    places = {
        "compare": (_HERE / "compare.py", _("Compare"), "compare_arrows"),
        "argument": (_HERE / "argument.py", _("The argument"), "balance"),
        "complexity": (_HERE / "complexity.py", _("Complexity"), "speed"),
        "image": (_HERE.parent / "lens" / "image.py", _("Inspect an image"), "image_search"),
    }
    file, title, icon = places[page]
    st.page_link(file, label=title, icon=f":material/{icon}:")


def row(term: Term) -> None:
    """One term, its definition, its section in the paper, and the way to it."""
    cells = st.columns(_WIDTHS, gap="small", vertical_alignment="center")
    cells[0].markdown(f"**{term.english}**")
    cells[1].markdown(f"**{term.chinese}**")
    cells[2].markdown(term.words())
    if term.section:
        cells[3].caption(_("section {section}").format(section=term.section))
    if term.page and classroom.has(term.page):
        with cells[4]:
            link(term.page)


st.title(_("Glossary"))
for one in TERMS:
    with st.container(border=True):
        row(one)
table = pd.DataFrame(
    {
        "English": [term.english for term in TERMS],
        "中文": [term.chinese for term in TERMS],
        _("Definition"): [term.words() for term in TERMS],
        _("Section"): [term.section for term in TERMS],
    }
)
with st.expander(_("As a table"), icon=":material/table:"):
    show.table(table, "glossary_terms", _("One row per term, for saving."))
