"""What strengthens a channel: the data set's images and patches that excite it most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image, ImageDraw

from analysis.errors import LensError
from analysis.figures.images import enlarged
from analysis.runs import Run
from analysis.runs.learned import SURVEYED
from analysis.text import _
from pages.common import cached, messages, state
from pages.lens.panels import nets
from pages.lens.panels.chooser import Subject
from pages.lens.panels.layers import pick_run

ZOOM = 3
"""Of the images."""
PATCH = 96
"""Width of a patch alone, in pixels."""


def show_panel(runs: Sequence[Run], subject: Subject, probes: dict[str, Any]) -> None:
    """Nine images for a channel of choice, with the patch that the position sees."""
    run = pick_run(runs, "image_net")
    found = cached.learned(run, "survey")
    if found is None:
        why = _("This needs one pass over {count} test images, once per run.")
        why = why.format(count=SURVEYED)
        nets.offer_to_learn([run], "survey", _("Survey the test images"), why)
        return
    seen_layer, seen_channel = _looked_at(run, found.layers)
    with state.row():
        layer = st.selectbox(
            _("Layer"), found.layers, index=found.layers.index(seen_layer),
            key=f"image_best_{run.net}",
        )  # fmt: skip
        last = int(found.channels[found.layers.index(layer)]) - 1
        begin = seen_channel if layer == seen_layer else 0
        channel = st.number_input(
            _("Channel"), 0, last, begin, key=f"image_best_channel_{run.net}_{layer}"
        )
    if found.origin is None or not found.origin.is_at_hand:
        nets.say_how([run], _("The survey is kept, but its images are not on this machine."))
        return
    exemplars = found.exemplars(layer, int(channel))
    try:
        pictures = cached.survey_pictures(found.origin, [number for number, *_ in exemplars])
    except LensError as error:
        st.error(messages.literal(str(error)))
        return
    _gallery(run, exemplars, pictures, layer)
    nets.name_other_images([run], "survey")


def _looked_at(run: Run, layers: Sequence[str]) -> tuple[str, int]:
    """The layer and channel that were enlarged under Activations; else the last layer's first."""
    seen, layer, channel = st.session_state.get("image_looked_at", ("", "", 0))
    return (layer, channel) if seen == run.id and layer in layers else (layers[-1], 0)


def _gallery(
    run: Run, exemplars: list[tuple[int, int, float]], pictures: np.ndarray, layer: str
) -> None:
    from analysis.lens.receptive import receptive_fields
    from analysis.specs.plan import layers

    size = run.config.image_size
    width = next(i.maps_size for i in layers(run.config.net, size) if i.name == layer)
    field = receptive_fields(run.config.net)[layer]
    with st.container(horizontal=True, gap="small"):
        for (_number, position, value), rgb in zip(exemplars, pictures, strict=True):
            box = field.box(*divmod(position, width), size)
            with st.container(width=ZOOM * size, gap="xsmall"):
                words = _("response {value:.2f}").format(value=value)
                st.image(_marked(rgb, box), caption=words, alt=words, output_format="PNG")
                if field.size < size:
                    st.image(_patch(rgb, box), width=PATCH, alt=words, output_format="PNG")
    words = _(
        "The test images with the largest response (before ReLU) of this channel at any position."
    )
    if field.size < size:
        seen = _("The square is what that position can see: {size} x {size} pixels.")
    else:
        seen = _("Every position of this layer can see the whole image ({size} x {size} pixels).")
    st.caption(f"{words} {seen.format(size=field.size)}")


def _patch(rgb: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """What the position sees, alone and large."""
    top, left, bottom, right = box
    patch = rgb[top:bottom, left:right]
    return enlarged(patch, max(PATCH // max(patch.shape[:2]), 1))


def _marked(rgb: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    image = Image.fromarray(enlarged(rgb, ZOOM))
    top, left, bottom, right = (ZOOM * edge for edge in box)
    ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), outline="#ffd21f", width=2)
    return np.asarray(image)
