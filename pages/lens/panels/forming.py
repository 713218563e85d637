"""How the prediction forms from block to block, plain against residual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from analysis.figures import conditions, run_styles, sentences
from analysis.figures.inspect import forming_info, plot_forming
from analysis.lens import asking
from analysis.runs import Run
from analysis.text import _
from pages.common import cached, show
from pages.lens.panels import nets
from pages.lens.panels.chooser import Subject


def show_panel(runs: Sequence[Run], subject: Subject, probes: dict[str, Any]) -> None:
    """The chart of one class's probability against depth."""
    from analysis.runs.learned import TEST, TRAIN

    shown = pick_class(runs, probes, "image_forming_class")
    tables = {
        run.id: asking.ask("readout.forming", run, subject.pixels, cached.learned(run, "readouts"))
        for run in runs
    }
    classes = {run.id: nets.class_words(run) for run in runs}
    info = forming_info(run_styles(runs), tables, classes, shown)
    reading = _(
        "The net's own classifier fits the last stage's blocks only. A readout tells how much of "
        "the class is in a block's channel means (linear discriminant analysis); its accuracy on "
        "{test} test images is in the CSV. A residual net refines: neighbours say nearly the same."
    ).format(test=TEST)
    figure = plot_forming(info)
    said = sentences.of_forming(info)
    show.figure(figure, info, "image_forming", reading, said, conditions(runs))
    nets.name_other_images(runs, "readouts")
    nets.offer_to_learn(
        list(runs),
        "readouts",
        _("Fit the readouts"),
        _("One pass over {train} training images and {test} test images, once per run.").format(
            train=TRAIN, test=TEST
        ),
    )


def pick_class(runs: Sequence[Run], probes: dict[str, Any], key: str) -> int:
    """A class of the first run; at first the one that it predicts."""
    names = nets.class_words(runs[0])
    probabilities = probes[runs[0].id].probabilities
    # Another picture or net has another prediction: a class chosen for the old one is forgotten.
    asked = (runs[0].id, probabilities.tobytes())
    if st.session_state.get(f"{key}_for") != asked:
        st.session_state[f"{key}_for"] = asked
        st.session_state[key] = int(probabilities.argmax())
    return st.selectbox(_("Class"), range(len(names)), format_func=lambda i: names[i], key=key)
