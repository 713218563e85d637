"""Compare: error curves, layer responses and a summary of any runs, beside each other."""

from __future__ import annotations

import streamlit as st

from analysis import figures
from analysis.figures import curves, responses
from analysis.runs import Comparable
from analysis.text import _
from pages.common import cached, messages, pickers, show, state


@st.fragment
def error_curves(runs: list[Comparable], highlight: str | None) -> None:
    """Fig. 6 with its controls."""
    with state.row():
        x = state.choose("compare_x", _("Horizontal axis"), curves.x_axes())
        scale = state.choose("compare_scale", _("Error axis"), curves.scales())
        with st.popover(_("More")):
            arrangement = state.choose("compare_panels", _("Panels"), curves.arrangements())
            smoothing = st.slider(
                _("Smoothing"), 0.0, 0.95, 0.0, 0.05, key="compare_smoothing", bind=state.URL
            )
    info = figures.error_curves_info(runs)
    figure = figures.plot_error_curves(
        info, x, scale, smoothing, arrangement, highlight, figures.without_history(runs)
    )
    reading = _(
        "Follow the thick lines. In the paper (section 4.1, Fig. 6) a deeper plain net ends with a "
        "higher *training* error than a shallower one, its residual twin with a lower one."
    )
    show.figure(figure, info, "compare_errors", reading)


@st.fragment
def layer_responses(runs: list[Comparable], highlight: str | None) -> None:
    """Fig. 7 with its controls."""
    with state.row():
        epoch = state.choose_epoch(
            "compare_epoch", _("After epoch"), responses.recorded_epochs(runs)
        )
        with st.popover(_("More")):
            source = state.choose("compare_source", _("Source"), responses.sources())
    info = figures.responses_info(runs, source, epoch)
    reading = _(
        "Compare the heights. In the paper (section 4.2, Fig. 7) residual nets respond less than "
        "plain ones, and less the deeper they are: each layer changes its input only a little."
    )
    show.figure(figures.plot_responses(info, highlight), info, "compare_responses", reading)


def summary(runs: list[Comparable]) -> None:
    """The table under the figures."""
    reading = _(
        "With shortcut option A a plain net and its residual twin have the same parameters and "
        "multiply-adds (section 3.3): what differs between them is the shortcuts alone."
    )
    info = figures.summary_info(runs)
    colours = [style.colour for style in figures.run_styles(runs)]
    words, whole = figures.summary_words(info), figures.summary_table(info)
    show.static_table(words, colours, whole, "compare_summary", reading)


st.title(_("Plain nets beside residual nets"))
everything, damaged = cached.list_comparable()
messages.stop_without_runs(everything, damaged)
runs_place, highlight_place = st.columns([3, 2], gap="medium")
with runs_place:
    picked = messages.only_readable(pickers.pick_runs(everything, "compare_runs"))
with highlight_place:
    chosen = pickers.pick_highlight(picked, "compare_highlight")
messages.warn_not_comparable(picked)
messages.name_unfinished(picked)
messages.name_without_history(picked)
if picked:
    left, right = st.columns(2, gap="medium")
    with left:
        error_curves(picked, chosen)
    with right:
        layer_responses(picked, chosen)
    summary(picked)
else:
    st.info(_("Choose a run above."))
messages.list_damaged(damaged)
