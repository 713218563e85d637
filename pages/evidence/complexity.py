"""Complexity: what nets cost on paper, what they cost by the clock, and how they are built."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from analysis.errors import LensError
from analysis.figures import complexity, diagram, sentences
from analysis.runs import BUNDLED, default_folder
from analysis.runs.times import read_times, write_times
from analysis.specs.costs import (
    CIFAR_NETS,
    PAPER_NETS,
    complexity_info,
    layers_info,
    spec_of,
    title_of,
)
from analysis.text import _
from pages.common import messages, show, state

NETS = [*PAPER_NETS, *CIFAR_NETS]


def counts() -> None:
    """The counted costs of all nets."""
    info = complexity_info(NETS)
    shown = pd.DataFrame(
        {
            _("Net"): info["title"],
            _("Pixels"): info["image_size"],
            _("Parameters (million)"): info["parameters"] / 1e6,
            _("Multiply-adds (billion)"): info["multiply_adds"] / 1e9,
            _("Of VGG-19 (%)"): 100 * info["vgg19_share"],
            _("Activations (MiB per image)"): info["activation_bytes"] / 2**20,
        }
    )
    reading = _(
        'The paper\'s "FLOPs" are multiply-adds (Table 1, Fig. 3): both 34-layer nets have 3.6 '
        "billion, 18 % of VGG-19's 19.6."
    )
    show.table(shown, "complexity_counts", reading)


def times() -> None:
    """Measured times of this machine, kept beside the runs."""
    path = default_folder() / "times.csv"
    with state.row():
        nets = st.multiselect(
            _("Nets to measure"), NETS, NETS, format_func=title_of, wrap=True, width=620
        )
        batches = st.multiselect(_("Batch sizes"), [1, 2, 4, 8, 16, 32, 64], [1, 4], width=260)
        pressed = st.button(_("Measure on this machine"), icon=":material/timer:")
    try:
        if pressed and nets and batches:
            _measure(nets, batches, path)
        measured = [place for place in (path, BUNDLED / "times.csv") if place.exists()]
        if not measured:
            st.info(_("Nothing measured on this machine yet."))
            return
        table = pd.concat([read_times(place) for place in measured], ignore_index=True)
        machines = list(dict.fromkeys(table["machine"]))
        if len(machines) > 1:
            machine = st.selectbox(_("Machine"), machines)
            table = table[table["machine"] == machine]
    except LensError as error:
        st.error(messages.literal(str(error)))
        return
    cases = [tuple(case) for case in table[["mode", "batch"]].drop_duplicates().values]
    words = {"inference": _("inference"), "training": _("training")}
    case = _("{mode}, batch size {batch}")
    mode, batch = st.selectbox(
        _("Case"), cases, format_func=lambda one: case.format(mode=words[one[0]], batch=one[1])
    )
    info = complexity.speed_info(table, mode, batch)
    reading = _(
        "On one line of slope 1 FLOPs would be speed. Medians after warm-up; bars are quartiles."
    )
    said = sentences.of_speed(info)
    show.figure(complexity.plot_speed(info), table, "complexity_speed", reading, said)
    show.table(
        complexity.speed_table(info),
        "complexity_times",
        _("Equal rates in the last column would make FLOPs speed."),
    )


def _measure(nets: list[str], batches: list[int], path: Path) -> None:
    from analysis.lens.complexity import measure_times

    bar = st.progress(0.0)
    found = measure_times(
        nets, batches, progress=lambda done, cases, words: bar.progress(done / cases, words)
    )
    bar.empty()
    write_times(found, path)


def drawing() -> None:
    """A net as in Fig. 3, and its layers."""
    name = st.selectbox(_("Net"), [n for n in NETS if spec_of(n)], 1, format_func=title_of)
    left, right = st.columns([2, 3], gap="medium")
    spec = spec_of(name)
    with left:
        info = diagram.diagram_info(spec)  # type: ignore
        show.figure(
            diagram.plot_diagram(info, title_of(name)),
            info,
            "complexity_diagram",
            _("Shortcuts: solid where dimensions stay, dotted where they change (Fig. 3)."),
        )
    with right:
        layers = layers_info(name)
        shown = pd.DataFrame(
            {
                _("Layer"): layers["layer"],
                _("Kernel"): layers["kernel"],
                _("Channels in"): layers["c_in"],
                _("Filters"): layers["c_out"],
                _("Map (pixels)"): layers["map_size"],
                _("Parameters"): layers["parameters"],
                _("Multiply-adds"): layers["multiply_adds"],
            }
        )
        show.table(shown, "complexity_layers", _("Every weighted layer, of one image."))


st.title(_("Complexity"))
counts()
st.header(_("FLOPs are not speed"))
times()
st.header(_("Architecture"))
drawing()
