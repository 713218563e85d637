"""Train: choose nets, see what they will take, start them, and watch them grow."""

from __future__ import annotations

import streamlit as st

from analysis.text import _
from pages.training import actions, form, live

st.title(_("Train nets"))
active = live.is_active()
if not active:
    st.caption(
        _(
            "Training runs in separate processes: close this page or restart the server, and they "
            "go on. Everything they record is in the runs folder."
        )
    )
actions.tell()
first_screen = st.container()
asked = form.choose_trainings()
form.offer_start(asked)
with first_screen if live.comes_first(active) else st.container():
    live.show(active)
