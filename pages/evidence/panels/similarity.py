"""What depth bought: which layers of two nets see the same, and what each block can tell."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from analysis.commands import command, name_of
from analysis.errors import LensError
from analysis.figures import conditions, readings, run_styles, similarity
from analysis.runs import Run
from analysis.text import _
from pages.common import cached, classroom, messages, places, show, state


def compare(runs: Sequence[Run], highlight: str | None) -> None:
    """The heat map of two of the runs beside the readouts of all."""
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _layers(runs)
    with right:
        known = {run.id: found for run in runs if (found := cached.learned(run, "readouts"))}
        info = similarity.readouts_info(runs, known)
        reading = readings.reading("refinements_readouts")
        figure = similarity.plot_readouts(info, highlight)
        show.figure(figure, info, "refinements_readouts", reading, conditions=conditions(runs))


@st.fragment
def _layers(runs: Sequence[Run]) -> None:
    drawn = st.container()
    labels = {style.run: style.label for style in run_styles(runs)}
    with state.row():
        first = state.choose("refinements_first", _("Layers of"), labels)
        last = dict(reversed(labels.items()))
        second = state.choose("refinements_second", _("and of"), last)
    a, b = (next(run for run in runs if run.id == chosen) for chosen in (first, second))
    found = cached.similarity_of(a, b)
    info = similarity.similarity_info(found)
    with drawn:
        names = labels[first], labels[second]
        if found is not None:
            st.markdown(f"**{messages.literal(similarity.similarity_words(info, *names))}**")
        reading = readings.reading("refinements_similarity")
        figure = similarity.plot_similarity(info, *names)
        show.figure(figure, info, "refinements_similarity", reading, conditions=conditions([a, b]))
    if found is None and not classroom.is_on():
        _offer(a, b)


def _offer(first: Run, second: Run) -> None:
    """A button where the first run's images are on this machine, else the command."""
    from analysis.lens.similarity import IMAGES, make_similarity

    if not first.has_images:
        st.caption(_("The images of {run} are not on this machine.").format(run=first.net))
        places.ask([first], "similarity")
        shown = command("similarity", name_of(first), name_of(second), "--data", "folder:PATH")
        st.code(shown, "bash", wrap_lines=True)
        return
    label = _("Compare their layers")
    words = _("One pass of {n} test images through both nets, once per pair.")
    if st.button(label, key="refinements_make", help=words.format(n=IMAGES)):
        try:
            with st.spinner(words.format(n=IMAGES)):
                make_similarity(first, second, (cached.net_of(first), cached.net_of(second)))
        except LensError as error:
            st.error(messages.literal(str(error)))
        else:
            st.rerun()
