"""Inspect an image: what each net predicts, responds and looks at, layer by layer."""

from __future__ import annotations

import streamlit as st

from analysis.errors import LensError
from analysis.presets import default_pair
from analysis.runs import Run
from analysis.text import _
from pages.common import cached, messages, pickers, state
from pages.lens.panels import (
    attribution,
    chooser,
    exemplars,
    export,
    forming,
    layers,
    predictions,
)


def loadable(runs: list[Run]) -> list[Run]:
    """The runs whose weights are whole; the others are named with what is wrong."""
    whole = []
    for run in runs:
        try:
            cached.net_of(run)
        except LensError as error:
            st.error(_("{run} is left out: {reason}").format(run=run.id, reason=error))
        else:
            whole.append(run)
    sizes = {run.config.image_size for run in whole}
    if len(sizes) > 1:
        st.warning(_("Nets with inputs of different sizes: those like the first one are shown."))
    return [run for run in whole if run.config.image_size == whole[0].config.image_size]


st.title(_("One image through the nets"))
everything, damaged = cached.list_runs()
everything = [run for run in everything if run.weights_path.exists()]
messages.stop_without_runs(everything, damaged)
runs = loadable(
    pickers.pick_runs(everything, "image_runs", default_pair(everything), one_seed=True)
)
if not runs:
    st.info(_("Choose a run above."))
    st.stop()
subject = chooser.choose(runs)

from analysis.lens.activations import probe  # noqa: E402  (torch: after the pickers are drawn)

probes = {
    run.id: probe(cached.net_of(run)[0], cached.input_of(run, subject.pixels)) for run in runs
}
PANELS = {
    "predictions": (_("Predictions and layers"), predictions),
    "layers": (_("Activations"), layers),
    "forming": (_("How the prediction forms"), forming),
    "attribution": (_("Attribution"), attribution),
    "exemplars": (_("What excites a channel"), exemplars),
    "export": (_("Export"), export),
}
chosen = state.choose("image_panel", _("Show"), {key: name for key, (name, _m) in PANELS.items()})
PANELS[chosen][1].show_panel(runs, subject, probes)
messages.list_damaged(damaged)
