"""Compare: error curves, layer responses and a summary of any runs, beside each other."""

from __future__ import annotations

import streamlit as st

from analysis import figures
from analysis.figures import curves, readings, responses, sentences
from analysis.figures import summary as table
from analysis.runs import Comparable
from analysis.text import _
from pages.common import cached, messages, pickers, show, state


@messages.fragment
def error_curves(runs: list[Comparable], highlight: str | None, single: bool) -> None:
    """Fig. 6 with its controls."""
    place = st.container()
    with st.popover(_("Axes, panels, smoothing"), icon=":material/tune:", key="compare_axes"):
        panels = state.choose("compare_panels", _("Panels"), curves.arrangements())
        x = state.choose("compare_x", _("Horizontal axis"), curves.x_axes())
        scale = state.choose("compare_scale", _("Error axis"), curves.scales())
        smoothing = st.slider(
            _("Smoothing"), 0.0, 0.95, 0.0, 0.05, key="compare_smoothing", bind=state.URL
        )
    info = figures.error_curves_info(runs)
    drawn = info if single else curves.over_seeds(info, runs)
    arrangement = curves.fitting_arrangement(runs) if panels == "auto" else panels
    figure = figures.plot_error_curves(
        drawn, x, scale, smoothing, arrangement, highlight, figures.without_history(runs)
    )
    reading = readings.reading("compare_errors")
    said = sentences.of_curves(drawn)
    with place:
        show.figure(figure, info, "compare_errors", reading, said, figures.conditions(runs))


@messages.fragment
def layer_responses(runs: list[Comparable], highlight: str | None, single: bool) -> None:
    """Fig. 7 with its controls."""
    place = st.container()
    with st.popover(_("Source, epoch, axis"), icon=":material/tune:", key="compare_how"):
        source = state.choose("compare_source", _("Source"), responses.sources())
        epochs = responses.recorded_epochs(runs, source)
        epoch = state.choose_epoch("compare_epoch", _("After epoch"), epochs)
        scale = state.choose("compare_std", _("Response axis"), responses.scales())
    info = figures.responses_info(runs, source, epoch)
    drawn = info if single else responses.over_seeds(info, runs)
    reading = readings.reading("compare_responses")
    figure = figures.plot_responses(drawn, highlight, scale)
    said = sentences.of_responses(drawn)
    with place:
        show.figure(figure, info, "compare_responses", reading, said, figures.conditions(runs))


def summary(runs: list[Comparable], single: bool) -> None:
    """The table under the figures."""
    reading = readings.reading("compare_summary")
    info = figures.summary_info(runs)
    drawn = info if single else table.over_seeds(info, runs)
    styles = {style.run: style.colour for style in figures.run_styles(runs)}
    colours = [styles[run] for run in drawn["run"]]
    whole = figures.summary_table(info)
    show.static_table(figures.summary_words(drawn), colours, whole, "compare_summary", reading)


with st.container(horizontal=True, vertical_alignment="center"):
    st.title(_("Plain vs residual nets"))
    show.copy_link("compare_link")
everything, damaged = cached.list_comparable()
messages.stop_without_runs(everything, damaged)
usual = pickers.usual_runs(everything)
with state.row():
    pickers.pick_preset(everything, "compare_runs")
    count = pickers.count_chosen(everything, "compare_runs", usual)
    title = _("Runs ({count})").format(count=count)
    with st.popover(title, icon=":material/checklist:", key="compare_choice"):
        picked = messages.only_readable(pickers.pick_runs(everything, "compare_runs", usual))
        lines = {"band": _("One line for all seeds"), "single": _("Each run a line")}
        single_runs = state.choose("compare_seeds", _("Seeds"), lines) == "single"
    chosen = pickers.pick_highlight(picked, "compare_highlight", single_runs)
messages.warn(pickers.missing_words("compare_runs"))
messages.warn_not_comparable(picked)
messages.name_unfinished(picked)
if picked:
    left, right = st.columns(2, gap="medium")
    with left:
        error_curves(picked, chosen, single_runs)
    with right:
        layer_responses(picked, chosen, single_runs)
    messages.name_caveats(picked)
    messages.name_without_history(picked)
    summary(picked, single_runs)
else:
    st.info(_("Choose a run above."))
messages.list_damaged(damaged)
