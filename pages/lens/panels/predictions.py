"""What each net says of the image, and whether its responses to it are usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from analysis.figures import conditions, run_styles, sentences
from analysis.figures.inspect import image_responses_info, plot_image_responses
from analysis.lens.answers import top_classes
from analysis.runs import Run
from analysis.runs.learned import SURVEYED, distribution
from analysis.text import _
from pages.common import cached, messages, show
from pages.lens.panels import nets
from pages.lens.panels.chooser import Subject


def show_panel(runs: Sequence[Run], subject: Subject, probes: Mapping[str, Any]) -> None:
    """Top-5 of each net beside each other, and the layer chart."""
    labels = {style.run: style.label for style in run_styles(runs)}
    if not subject.fits:
        st.caption(
            _("This picture shows none of the classes: whatever the nets say of it is wrong.")
        )
    for run, column in zip(runs, st.columns(len(runs), gap="medium"), strict=True):
        with column:
            _top_five(run, labels[run.id], probes[run.id], subject.label)
    _responses(list(runs), probes)


def _top_five(run: Run, label: str, probe: Any, truth: str) -> None:
    table = top_classes(probe.probabilities, nets.classes_of(run))
    best = table.iloc[0]
    verdict = ""
    if truth:
        verdict = ":green[✓]" if best["class"] == truth else ":red[✗]"
    words = _("**{net}**: {name}, {percent:.1f} % {verdict}")
    st.markdown(
        words.format(
            net=messages.literal(label),
            name=messages.literal(nets.class_word(best["class"])),
            percent=100 * best["probability"],
            verdict=verdict,
        )
    )
    shown = pd.DataFrame(
        {
            _("Class"): table["class"].map(nets.class_word),
            _("Probability"): table["probability"] * 100,
        }
    )
    config = {
        _("Probability"): st.column_config.ProgressColumn(
            format="%.1f %%", min_value=0, max_value=100
        )
    }
    st.dataframe(shown, hide_index=True, column_config=config, key=f"image_top_{run.id}")


def _responses(runs: list[Run], probes: Mapping[str, Any]) -> None:
    spreads, layers = {}, {}
    for run in runs:
        found = cached.learned(run, "survey")
        if found is not None:
            spreads[run.id], layers[run.id] = distribution(found), found.layers
    responses = {run.id: probes[run.id].responses for run in runs}
    info = image_responses_info(run_styles(runs), responses, spreads, layers)
    reading = _(
        "A line outside of its net's bands marks a layer for which this image is unusual. The "
        "response is the standard deviation of the BN output (section 4.2, Fig. 7), here over one "
        "image's channels and positions."
    )
    figure = plot_image_responses(info)
    said = sentences.of_image(info)
    show.figure(figure, info, "image_responses", reading, said, conditions(runs))
    nets.name_other_images(runs, "survey")
    nets.offer_to_learn(
        runs,
        "survey",
        _("Survey the test images"),
        _(
            "How usual is this? One pass over {count} test images gives every layer's "
            "distribution and every channel's exemplars. It is done once per run."
        ).format(count=SURVEYED),
    )
