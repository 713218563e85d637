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
from analysis.text import _
from pages.common import cached, state
from pages.lens.panels import nets
from pages.lens.panels.chooser import Subject
from pages.lens.panels.layers import pick_run

ZOOM = 5


def show_panel(runs: Sequence[Run], subject: Subject, probes: dict[str, Any]) -> None:
    """Nine images for a channel of choice, with the patch that the position sees."""
    from analysis.lens.survey import IMAGES

    run = pick_run(runs, "image_net")
    found = cached.learned(run, "survey")
    if found is None:
        why = _("This needs one pass over {count} test images, once for a run.")
        nets.offer_to_learn([run], "survey", _("Survey the test images"), why.format(count=IMAGES))
        return
    with state.row():
        layer = st.selectbox(
            _("Layer"), found.layers, index=len(found.layers) - 1, key=f"image_best_{run.net}"
        )
        last = int(found.channels[found.layers.index(layer)]) - 1
        channel = st.number_input(
            _("Channel"), 0, last, 0, key=f"image_best_channel_{run.net}_{layer}"
        )
    try:
        pixels = cached.surveyed_images(found)
    except LensError as error:
        st.error(str(error))
        nets.say_how([run], _("The survey is kept, but its images can't be had."))
        return
    _gallery(run, found.exemplars(layer, int(channel)), pixels, layer)
    nets.name_other_images([run], "survey")


def _gallery(run: Run, exemplars: list[tuple[int, int, float]], pixels: Any, layer: str) -> None:
    from analysis.lens.receptive import receptive_fields
    from analysis.plan import layers

    size = run.config.image_size
    width = next(i.map_size for i in layers(run.config.net, size) if i.name == layer)
    field = receptive_fields(run.config.net)[layer]
    shown, words = [], []
    for index, position, value in exemplars:
        rgb = pixels[index].permute(1, 2, 0).numpy()
        box = field.box(*divmod(position, width), size)
        shown.append(_marked(rgb, box))
        words.append(_("response {value:.2f}").format(value=value))
    st.image(shown, caption=words, width=ZOOM * size)
    st.caption(
        _(
            "The test images with the largest response (before ReLU) of this channel at any "
            "position. The square is what that position can see: {size} x {size} pixels."
        ).format(size=field.size)
    )


def _marked(rgb: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    image = Image.fromarray(enlarged(rgb, ZOOM))
    top, left, bottom, right = (ZOOM * edge for edge in box)
    ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), outline="#ffd21f", width=2)
    return np.asarray(image)
