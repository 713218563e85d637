"""Inspect an image: what each net predicts, responds and looks at, layer by layer."""

from __future__ import annotations

import streamlit as st

from analysis.evidence.presets import default_pair
from analysis.lens import asking
from analysis.text import _
from pages.common import cached, classroom, messages, pickers, state
from pages.lens.panels import (
    attribution,
    chooser,
    exemplars,
    export,
    forming,
    layers,
    predictions,
)

st.title(_("One image through the nets"))
asking.prepare()
everything, damaged = cached.list_runs()
without = [run for run in everything if run.status.weights == "left out"]
everything = [run for run in everything if run.has_weights]
messages.stop_without_runs(everything, damaged)
runs = messages.only_loadable(
    pickers.pick_runs(everything, "image_runs", default_pair(everything), one_seed=True)
)
if not runs:
    st.info(_("Choose a run above."))
    st.stop()
messages.name_without_weights(without)
subject = chooser.choose(runs)

PANELS = {
    "predictions": (_("Predictions and layers"), predictions),
    "layers": (_("Activations"), layers),
    "forming": (_("How the prediction forms"), forming),
    "attribution": (_("Attribution"), attribution),
    "exemplars": (_("What excites a channel"), exemplars),
    "export": (_("Export"), export),
}
chosen = state.choose("image_panel", _("Show"), {key: name for key, (name, _m) in PANELS.items()})
with classroom.at_work():
    probes = {run.id: cached.answer("activations.probe", run, subject.pixels) for run in runs}
    PANELS[chosen][1].show_panel(runs, subject, probes)
messages.list_damaged(damaged)
