"""Small refinements: how little each residual block changes what it is given."""

from __future__ import annotations

import streamlit as st

from analysis.text import _
from pages.common import cached, messages, pickers, state
from pages.evidence.panels import lesions, refinement, similarity

st.title(_("Small refinements"))
st.markdown(
    _(
        "A residual block computes x + F(x). Why such nets train, the paper says (section 4.2): "
        "F(x) is small beside x, so each block only *refines* what it is given, and the deeper the "
        "net, the smaller the refinements."
    )
)
everything, damaged = cached.list_runs()
messages.stop_without_runs(everything, damaged)
runs_place, highlight_place = st.columns([3, 2], gap="medium")
with runs_place:
    first = pickers.default_depths(everything)
    chosen = pickers.pick_runs(everything, "refinements_runs", first)
    picked = messages.only_readable(chosen)
with highlight_place:
    highlight = pickers.pick_highlight(picked, "refinements_highlight")
messages.warn_not_comparable(picked)
messages.name_unfinished(picked)
if not picked:
    st.info(_("Choose a run above."))
    messages.list_damaged(damaged)
    st.stop()
refinement.by_block(picked, highlight)
st.header(_("The deeper, the smaller"))
refinement.by_depth(picked, everything)
st.header(_("Which direction is kept"))
refinement.directions(picked, highlight)
st.header(_("Over training"))
refinement.over_training(picked)
st.header(_("Take a block away"))
lesions.kept(picked, highlight)
st.header(_("What depth bought"))
similarity.compare(picked, highlight)
messages.list_damaged(damaged)
st.header(_("Try it on a picture"))
if st.toggle(_("Open the laboratory"), key="refinements_laboratory", bind=state.URL):
    from pages.evidence.panels import picture
    from pages.lens.panels import chooser

    loadable = messages.only_loadable(picked)
    if loadable:
        subject = chooser.choose(loadable)
        picture.maps(loadable, subject)
        lesions.laboratory(loadable, subject)
