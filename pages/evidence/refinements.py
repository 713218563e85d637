"""Small refinements: how little each residual block changes what it is given."""

from __future__ import annotations

import streamlit as st

from analysis.evidence.presets import default_depths
from analysis.figures import readings
from analysis.runs import Run
from analysis.text import _
from pages.common import cached, messages, pickers, show, state
from pages.evidence.panels import lesions, refinement, similarity

st.title(_("Small refinements"))
st.markdown(readings.opening("refinements"))
everything, damaged = cached.list_comparable()
own = [run for run in everything if isinstance(run, Run)]
messages.stop_without_runs(everything, damaged)
runs_place, highlight_place = st.columns([3, 2], gap="medium")
with runs_place:
    first = cached.made(default_depths, own)
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
if not show.is_drawn("refinements_blocks"):
    st.stop()
st.header(_("The deeper, the smaller"))
trained = [run for run in picked if isinstance(run, Run)]
if trained:
    refinement.by_depth(trained, own)
refinement.by_decay(own)
st.header(_("Which direction is kept"))
refinement.directions(picked, highlight)
st.header(_("Over training"))
refinement.over_training(picked)
st.header(_("Take a block away"))
lesions.kept(trained, highlight)
st.header(_("What depth bought"))
similarity.compare(trained, highlight)
messages.list_damaged(damaged)
st.header(_("Try it on a picture"))
if st.toggle(_("Open the laboratory"), key="refinements_laboratory", bind=state.URL):
    from pages.evidence.panels import picture
    from pages.lens.panels import chooser

    loadable = messages.only_loadable(trained)
    if loadable:
        subject = chooser.choose(loadable)
        picture.maps(loadable, subject)
        lesions.laboratory(loadable, subject)
