"""A question that takes minutes, asked from a page: a button, then how far it is, then its end."""

from __future__ import annotations

import streamlit as st

from analysis.errors import LensError
from analysis.jobs.errands import Errand
from analysis.runs import default_folder
from analysis.text import _
from pages.common import classroom, messages
from pages.common.words import duration

REFRESH = 1.0
"""Seconds between looks at one that is under way."""


def offer(arguments: tuple[str, ...], label: str) -> None:
    """Ask, watch and end one errand; the page runs again once it has ended. In a class: nothing.

    Args:
        arguments: after `python -m analysis`.
        label: of the button.
    """
    if classroom.is_on():
        return
    errand = Errand(default_folder(), arguments)
    standing = errand.look()
    if standing and standing.running:
        messages.fragment(_watch, run_every=REFRESH)(errand, label)
        return
    if standing:
        st.warning(messages.literal(standing.log or _("It ended before it was done.")))
    if st.button(label, key=f"errand_{errand.path.name}", icon=":material/database:"):
        try:
            errand.begin()
        except LensError as error:
            st.error(messages.literal(str(error)))
            return
        st.rerun()


def _watch(errand: Errand, label: str) -> None:
    standing = errand.look()
    if not standing or not standing.running:
        st.rerun()
    words = label
    if standing.seconds_left is not None:
        left = _("{time} left").format(time=duration(standing.seconds_left))
        words = f"{label}: {left}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(standing.done / max(standing.total, 1), words)
        if st.button(_("Cancel"), key=f"errand_end_{errand.path.name}"):
            errand.end()
            st.rerun()
