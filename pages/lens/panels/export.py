"""Everything as files: raw activations with layer names, and the numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from analysis.escape import csv_text
from analysis.figures import run_styles
from analysis.lens import asking
from analysis.runs import Run
from analysis.text import _
from pages.common import messages
from pages.lens.panels import nets
from pages.lens.panels.chooser import Subject


def show_panel(runs: Sequence[Run], subject: Subject, probes: dict[str, Any]) -> None:
    """Download buttons for each net; what they hold is made when they are pressed."""
    st.caption(_("Figures have their own PNG, SVG and CSV. Here are the raw numbers."))
    for run, style in zip(runs, run_styles(runs), strict=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{messages.literal(style.label)}**")
            st.download_button(
                _("Activations of every layer (.npz)"),
                lambda run=run: activations_file(run, subject.pixels),
                file_name=f"{run.id}_activations.npz",
                key=f"image_npz_{run.id}", on_click="ignore",
            )  # fmt: skip
            st.download_button(
                _("Numbers by layer (.csv)"),
                lambda run=run: csv_text(_numbers(probes[run.id])).encode(),
                file_name=f"{run.id}_layers.csv", mime="text/csv",
                key=f"image_csv_{run.id}", on_click="ignore",
            )  # fmt: skip
            st.download_button(
                _("Probabilities (.csv)"),
                lambda run=run: csv_text(_probabilities(run, probes[run.id])).encode(),
                file_name=f"{run.id}_probabilities.csv", mime="text/csv",
                key=f"image_probabilities_{run.id}", on_click="ignore",
            )  # fmt: skip


def activations_file(run: Run, pixels: np.ndarray) -> bytes:
    """An .npz: `pixels`, and every layer's response and activation under its module path."""
    arrays = asking.ask("activations.all_activations", run, pixels)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, pixels=pixels, **arrays)
    return buffer.getvalue()


def _numbers(probe: Any) -> pd.DataFrame:
    blocks = probe.refinement[["stage", "block", "rms_x", "rms_f", "ratio", "cosine"]]
    return probe.responses.merge(blocks, on=["stage", "block"], how="left")


def _probabilities(run: Run, probe: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {"class": nets.classes_of(run)[: len(probe.probabilities)],
         "probability": probe.probabilities}
    )  # fmt: skip
