"""How small the refinements are: by block, over training, against depth; from tables alone."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
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
    theme,
)
from analysis.runs import Comparable, Run
from analysis.text import _
from pages.common import cached, messages, pickers, show, state
from pages.evidence.panels.claims import show_card


@messages.fragment
def by_block(runs: Sequence[Comparable], highlight: str | None) -> None:
    """The ratio along each net and sorted; a slider moves both through training."""
    drawn = st.container()
    info, along, ranked, said, reading = cached.made(_by_block, runs, _pick_moment(runs), highlight)
    with drawn:
        if said:
            st.markdown(said)
        wide, narrow = st.columns([3, 2], gap="medium")
        with wide:
            show.figure(along, info, "refinements_blocks", reading)
        with narrow:
            reading = readings.reading("refinements_sorted")
            show.figure(ranked, info.sort_values(["run", "rank"]), "refinements_sorted", reading)
    bare = refinement.without_probe(runs)
    if bare:
        words = _(
            "No probe of the initialisation: {nets}. These runs have one measurement at their end, "
            "without the spread over images. `python -m analysis probe RUN` adds what can still be "
            "known."
        )
        st.caption(words.format(nets=", ".join(map(messages.literal, bare))))


def _by_block(
    runs: Sequence[Comparable], moment: refining.Moment | None, highlight: str | None
) -> tuple[pd.DataFrame, go.Figure, go.Figure, str, str]:
    """(the numbers, along the net, sorted, what to see, how to read it)."""
    info = cached.made(refinement.refinement_info, runs, moment)
    shown_of = conditions(runs)
    along = theme.sign(refinement.plot_by_block(info, "ratio", highlight), shown_of)
    ranked = theme.sign(refinement.plot_sorted(info, highlight), shown_of)
    said = f"**{messages.literal(refinement.median_words(info))}**" if len(info) else ""
    reading = refinement.trained_words(info) or _("Lower is a smaller refinement.")
    return info, along, ranked, said, messages.literal(reading)


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
    info, figures, said = cached.made(_directions, runs, highlight)
    if not said:
        return
    st.markdown(said)
    show.beside(figures, [info, info])


def _directions(
    runs: Sequence[Comparable], highlight: str | None
) -> tuple[pd.DataFrame, dict[str, go.Figure], str]:
    """(the numbers, figures of cosine and drift, what to see)."""
    info = cached.made(refinement.refinement_info, runs, None)
    if info.empty:
        return info, {}, ""
    figures = {
        f"refinements_{measure}": theme.sign(
            refinement.plot_by_block(info, measure, highlight), conditions(runs)
        )
        for measure in ("cosine", "drift")
    }
    return info, figures, f"**{messages.literal(refinement.direction_words(info))}**"


@messages.fragment
def over_training(runs: Sequence[Comparable]) -> None:
    """A heat map along the net and over training, nets side by side."""
    drawn = st.container()
    measure = state.choose("refinements_measure", _("Measure"), refinement_training.measures())
    info, figure, said = cached.made(_over_training, runs, measure)
    with drawn:
        if said:
            st.markdown(said)
        show.figure(figure, info, "refinements_training", readings.reading("refinements_training"))


def _over_training(
    runs: Sequence[Comparable], measure: refinement_training.Measure
) -> tuple[pd.DataFrame, go.Figure, str]:
    """(the numbers, the heat maps, what to see)."""
    info = refinement_training.training_info(runs, measure)
    said = f"**{messages.literal(refinement_training.course_words(info))}**" if len(info) else ""
    return (
        info,
        theme.sign(refinement_training.plot_training(info, measure), conditions(runs)),
        said,
    )


def by_decay(everything: Sequence[Run]) -> None:
    """Responses and refinements of one net trained with several weight decays, if some were."""
    runs = cached.made(presets.by_decay, everything)
    if not runs:
        return
    st.header(_("What weight decay does"))
    st.markdown(f"**{sentences.of_decay(runs)}**")
    show.beside(*cached.made(_by_decay, runs))


def _by_decay(runs: Sequence[Comparable]) -> tuple[dict[str, go.Figure], list[pd.DataFrame]]:
    """(figures by their keys, their numbers)."""
    responses, ratios = responses_info(runs), refinement.refinement_info(runs)
    shown_of = conditions(runs)
    return {
        "refinements_decay": theme.sign(plot_responses(responses), shown_of),
        "refinements_decay_ratio": theme.sign(
            refinement.plot_by_block(ratios, "ratio", None), shown_of
        ),
    }, [responses, ratios]


def by_depth(runs: Sequence[Run], everything: Sequence[Run]) -> None:
    """Ratio and response against depth over all runs like the first one, with the verdict."""
    group = claims.groups(everything).get(runs[0].comparison_key, [])
    info, figures = cached.made(_by_depth, group)
    show.beside(figures, [info, info])
    names = pickers.run_names(everything)
    judged = {claim.id: (claim, verdict) for claim, verdict in cached.made(claims.evaluate, group)}
    shown = ("smaller-refinements", "small-responses")
    for place, wanted in zip(st.columns(2), shown, strict=True):
        claim, verdict = judged[wanted]
        with place, st.container(border=True, height="stretch"):
            show_card(claim, verdict, [names[run] for run in verdict.runs if run in names])


def _by_depth(group: Sequence[Run]) -> tuple[pd.DataFrame, dict[str, go.Figure]]:
    """(the numbers, figures by their keys)."""
    info = refinement_depth.by_depth_info(group)
    shown_of = conditions(group)
    return info, {
        "refinements_depth": theme.sign(refinement_depth.plot_by_depth(info, "ratio"), shown_of),
        "refinements_responses": theme.sign(
            refinement_depth.plot_by_depth(info, "response"), shown_of
        ),
    }
