"""How small the refinements are: by block, over training, against depth; from tables alone."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from analysis.evidence import claims, presets, refining
from analysis.figures import (
    conditions,
    plot_responses,
    readings,
    refinement,
    refinement_depth,
    refinement_training,
    responses_info,
    sentences,
)
from analysis.runs import Comparable, Run
from analysis.text import _
from pages.common import messages, pickers, show, state
from pages.evidence.panels.claims import show_card


@st.fragment
def by_block(runs: Sequence[Comparable], highlight: str | None) -> None:
    """The ratio along each net and sorted; a slider moves both through training."""
    drawn = st.container()
    moment = _pick_moment(runs)
    info = refinement.refinement_info(runs, moment)
    shown_of = conditions(runs)
    with drawn:
        if len(info):
            st.markdown(f"**{messages.literal(refinement.median_words(info))}**")
        wide, narrow = st.columns([3, 2], gap="medium")
        with wide:
            figure = refinement.plot_by_block(info, "ratio", highlight)
            reading = messages.literal(
                refinement.trained_words(info) or _("Lower is a smaller refinement.")
            )
            show.figure(figure, info, "refinements_blocks", reading, conditions=shown_of)
        with narrow:
            reading = readings.reading("refinements_sorted")
            ranked = info.sort_values(["run", "rank"])
            figure = refinement.plot_sorted(info, highlight)
            show.figure(figure, ranked, "refinements_sorted", reading, conditions=shown_of)
    bare = refinement.without_probe(runs)
    if bare:
        words = _(
            "No probe of the initialisation: {nets}. These runs have one measurement at their end, "
            "without the spread over images. `python -m analysis probe RUN` adds what can still be "
            "known."
        )
        st.caption(words.format(nets=", ".join(map(messages.literal, bare))))


def _pick_moment(runs: Sequence[Comparable]) -> refining.Moment | None:
    """A probe of training; None for the last, which is the default."""
    moments = refinement.moments(runs)
    if len(moments) < 2:
        return None
    by_words = {refinement.moment_words(moment): moment for moment in moments}
    words = list(by_words)
    chosen = st.select_slider(
        _("During training"), words, value=words[-1], key="refinements_moment", bind=state.URL,
        help=_("The first updates and the end of each epoch, in the order of training."),
    )  # fmt: skip
    return None if chosen == words[-1] else by_words[chosen]


def directions(runs: Sequence[Comparable], highlight: str | None) -> None:
    """cos(x, x + F) by block and the drift since the stage began."""
    info = refinement.refinement_info(runs)
    if info.empty:
        return
    st.markdown(f"**{messages.literal(refinement.direction_words(info))}**")
    shown_of = conditions(runs)
    left, right = st.columns(2, gap="medium")
    with left:
        reading = readings.reading("refinements_cosine")
        figure = refinement.plot_by_block(info, "cosine", highlight)
        show.figure(figure, info, "refinements_cosine", reading, conditions=shown_of)
    with right:
        reading = readings.reading("refinements_drift")
        figure = refinement.plot_by_block(info, "drift", highlight)
        show.figure(figure, info, "refinements_drift", reading, conditions=shown_of)


@st.fragment
def over_training(runs: Sequence[Comparable]) -> None:
    """A heat map along the net and over training, nets side by side."""
    drawn = st.container()
    measure = state.choose("refinements_measure", _("Measure"), refinement_training.measures())
    info = refinement_training.training_info(runs, measure)
    with drawn:
        if len(info):
            st.markdown(f"**{messages.literal(refinement_training.course_words(info))}**")
        reading = readings.reading("refinements_training")
        figure = refinement_training.plot_training(info, measure)
        show.figure(figure, info, "refinements_training", reading, conditions=conditions(runs))


def by_decay(everything: Sequence[Run]) -> None:
    """Responses and refinements of one net trained with several weight decays, if some were."""
    runs = presets.by_decay(everything)
    if not runs:
        return
    st.header(_("What weight decay does"))
    st.markdown(f"**{sentences.of_decay(runs)}**")
    shown_of = conditions(runs)
    left, right = st.columns(2, gap="medium")
    with left:
        reading = readings.reading("refinements_decay")
        info = responses_info(runs)
        figure = plot_responses(info)
        show.figure(figure, info, "refinements_decay", reading, conditions=shown_of)
    with right:
        reading = readings.reading("refinements_decay_ratio")
        info = refinement.refinement_info(runs)
        figure = refinement.plot_by_block(info, "ratio", None)
        show.figure(figure, info, "refinements_decay_ratio", reading, conditions=shown_of)


def by_depth(runs: Sequence[Run], everything: Sequence[Run]) -> None:
    """Ratio and response against depth over all runs like the first one, with the verdict."""
    group = claims.groups(everything).get(runs[0].comparison_key, [])
    info = refinement_depth.by_depth_info(group)
    shown_of = conditions(group)
    left, right = st.columns(2, gap="medium")
    with left:
        reading = readings.reading("refinements_depth")
        figure = refinement_depth.plot_by_depth(info, "ratio")
        show.figure(figure, info, "refinements_depth", reading, conditions=shown_of)
    with right:
        reading = readings.reading("refinements_responses")
        figure = refinement_depth.plot_by_depth(info, "response")
        show.figure(figure, info, "refinements_responses", reading, conditions=shown_of)
    names = pickers.run_names(everything)
    judged = {claim.id: (claim, verdict) for claim, verdict in claims.evaluate(group)}
    shown = ("smaller-refinements", "small-responses")
    for place, wanted in zip(st.columns(2), shown, strict=True):
        claim, verdict = judged[wanted]
        with place, st.container(border=True, height="stretch"):
            show_card(claim, verdict, [names[run] for run in verdict.runs if run in names])
