"""Glossary: the paper's terms in English and Chinese, with links to where the app shows them."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from analysis.glossary import TERMS
from analysis.text import _

st.title(_("Glossary"))
rows = [
    {"English": term.english, "中文": term.chinese, _("Definition"): term.words(),
     _("Section"): term.section, _("Shown on"): f"/{term.page}" if term.page else ""}
    for term in TERMS
]  # fmt: skip
links = {_("Shown on"): st.column_config.LinkColumn(display_text=r"/(.*)")}
st.dataframe(
    pd.DataFrame(rows), hide_index=True, column_config=links, height="content", row_height=48
)
