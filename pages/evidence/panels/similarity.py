"""What depth bought: which layers of two nets see the same, and what each block can tell."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from analysis.commands import command, name_of
from analysis.errors import LensError
from analysis.figures import conditions, readings, run_styles, similarity, theme
from analysis.runs import Run
from analysis.runs.learned import IMAGES
from analysis.text import _
from pages.common import cached, classroom, messages, places, show, state


def compare(runs: Sequence[Run], highlight: str | None) -> None:
    """The heat map of two of the runs beside the readouts of all."""
    left, right = st.columns([3, 2], gap="medium")
    with left:
        if runs:
            _layers(runs)
    with right:
        stamps = tuple(cached.learned_stamps(run, "readouts") for run in runs)
        info, figure = cached.made(_readouts, runs, highlight, others=stamps)
        show.figure(figure, info, "refinements_readouts", readings.reading("refinements_readouts"))


def _readouts(runs: Sequence[Run], highlight: str | None) -> tuple[pd.DataFrame, go.Figure]:
    known = {run.id: found for run in runs if (found := cached.learned(run, "readouts"))}
    info = similarity.readouts_info(runs, known)
    return info, theme.sign(similarity.plot_readouts(info, highlight), conditions(runs))


@messages.fragment
def _layers(runs: Sequence[Run]) -> None:
    drawn = st.container()
    labels = {style.run: style.label for style in run_styles(runs)}
    words_of = messages.shown_names(runs)  # of data sets and nets, which files name
    pair = _first_pair(runs)
    with state.row():
        first, second = (
            state.choose(f"refinements_{key}", words, {run.id: words_of[run.id], **words_of})
            for run, key, words in zip(
                pair, ("first", "second"), (_("Layers of"), _("and of")), strict=True
            )
        )
    a, b = (next(run for run in runs if run.id == chosen) for chosen in (first, second))
    found = cached.similarity_of(a, b)
    names = labels[first], labels[second]
    info, figure, said = cached.made(
        _similar, [a, b], *names, others=cached.similarity_stamps(a, b)
    )
    with drawn:
        if said:
            st.markdown(said)
        reading = readings.reading("refinements_similarity")
        show.figure(figure, info, "refinements_similarity", reading)
    if found is None and not classroom.is_on():
        _offer(a, b)


def _similar(pair: Sequence[Run], first: str, second: str) -> tuple[pd.DataFrame, go.Figure, str]:
    """(the numbers, the heat map, what to see) of two runs and what figures call them."""
    found = cached.similarity_of(*pair)
    info = similarity.similarity_info(found)
    words = similarity.similarity_words(info, first, second) if found is not None else ""
    said = f"**{messages.literal(words)}**" if words else ""
    figure = similarity.plot_similarity(info, first, second)
    return info, theme.sign(figure, conditions(pair)), said


def _first_pair(runs: Sequence[Run]) -> tuple[Run, Run]:
    """The shallowest and the deepest that were compared; the first and the last where none were."""
    few = runs[:12]  # else there are many pairs to look for
    pairs = ((a, b) for a in few for b in reversed(few) if a is not b)
    return next((p for p in pairs if cached.similarity_of(*p)), (runs[0], runs[-1]))


def _offer(first: Run, second: Run) -> None:
    """A button where the first run's images are on this machine, else the command."""
    if not first.has_images:
        st.caption(_("The images of {run} are not on this machine.").format(run=first.net))
        places.ask([first], "similarity")
        shown = command("similarity", name_of(first), name_of(second), "--data", "folder:PATH")
        st.code(shown, "bash", wrap_lines=True)
        return
    label = _("Compare their layers")
    words = _("One pass of {n} test images through both nets, once per pair.")
    if st.button(label, key="refinements_make", help=words.format(n=IMAGES)):
        from analysis.lens.similarity import make_similarity

        try:
            with st.spinner(words.format(n=IMAGES)):
                make_similarity(first, second, (cached.net_of(first), cached.net_of(second)))
        except LensError as error:
            st.error(messages.literal(str(error)))
        else:
            st.rerun()
