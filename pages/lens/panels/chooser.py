"""Choosing the picture, and how it becomes the net's input. Bad files get a sentence each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from PIL import Image, ImageDraw

from analysis.errors import LensError
from analysis.figures.images import enlarged
from analysis.lens.crops import Crop, to_input
from analysis.lens.samples import sample, sample_names, sample_title
from analysis.lens.uploads import MAX_BYTES, MAX_FILES, Picture, pixel_digest
from analysis.runs import Run
from analysis.text import _
from pages.common import cached, state


@dataclass(frozen=True, eq=False)
class Subject:
    """The image that is inspected."""

    picture: Picture
    pixels: np.ndarray
    """The nets' input, uint8 (size, size, 3)."""
    label: str = ""
    """Its true class, where it is the data set's."""

    @property
    def digest(self) -> str:
        """Of the input's pixels: a key for caches."""
        return pixel_digest(self.pixels)


def choose(runs: Sequence[Run]) -> Subject:
    """The picture, its crop and the pixels that the nets get; stops the page without one."""
    size = runs[0].config.image_size
    choice, shown, result = st.columns([5, 4, 3], gap="medium")
    with choice:
        source = state.choose("image_source", _("Picture"), {
            "sample": _("Samples"), "upload": _("Upload"), "data": _("Test images")})  # fmt: skip
        label = ""
        if source == "upload":
            picture = _uploaded()
        elif source == "data":
            picture, label = _from_data(runs[0])
        else:
            names = sample_names()
            name = st.selectbox(
                _("Sample"), names, format_func=sample_title, key="image_sample", bind=state.URL
            )
            picture = sample(name)
        if picture is None:
            st.stop()
        crop = _crop(picture)
    pixels = to_input(picture.rgb, crop, size)
    with shown:
        st.image(_marked(picture.rgb, crop), caption=_caption(picture), width=300)
    with result:
        words = _("What the nets get: {size} x {size} pixels").format(size=size)
        st.image(enlarged(pixels, 224 // size or 1), caption=words, width=224)
    return Subject(picture, pixels, label)


def _caption(picture: Picture) -> str:
    width, height = picture.size
    return " ".join([f"{picture.name}, {width} x {height}.", *picture.notes])


def _uploaded() -> Picture | None:
    files = st.file_uploader(
        _("Images: PNG, JPEG, WebP, BMP, GIF"),
        type="image",
        accept_multiple_files=True,
        max_upload_size=MAX_BYTES // 10**6,
        key="image_files",
        help=_("They stay on the machine that runs this app, in memory, while the page is open."),
    )
    if len(files) > MAX_FILES:
        st.warning(
            _("{count} files were given; the first {most} are read.").format(
                count=len(files), most=MAX_FILES
            )
        )
    pictures = {}
    for file in files[:MAX_FILES]:
        try:
            pictures[file.file_id] = cached.picture_of(file)
        except LensError as error:
            st.error(str(error), icon=":material/image_not_supported:")
    if not pictures:
        st.info(_("Choose one or several images."))
        return None
    if len(pictures) == 1:
        return next(iter(pictures.values()))
    chosen = st.pills(
        _("Which one"),
        list(pictures),
        default=next(iter(pictures)),
        required=True,
        format_func=lambda key: pictures[key].name if key in pictures else key,
        key="image_which",
    )
    return pictures.get(chosen) or next(iter(pictures.values()))


def _from_data(run: Run) -> tuple[Picture | None, str]:
    try:
        images = cached.images_of(run)
    except LensError as error:
        st.error(str(error))
        return None, ""
    number = st.number_input(
        _("Number of the test image"),
        0,
        len(images.test) - 1,
        0,
        key="image_number",
        bind=state.URL,
    )
    rgb = images.test[int(number)].permute(1, 2, 0).numpy().copy()
    label = images.classes[int(images.test_labels[int(number)])]
    name = _("{data}, test image {number}: {label}").format(
        data=run.data_title, number=number, label=label
    )
    return Picture(name, rgb, (rgb.shape[1], rgb.shape[0])), label


def _crop(picture: Picture) -> Crop:
    height, width = picture.rgb.shape[:2]
    if max(height, width) <= 32:
        return Crop()
    how = state.choose("image_crop", _("Cut out"), {
        "centre": _("Centre"), "whole": _("Whole, with bars"),
        "square": _("A square of yours")})  # fmt: skip
    if how != "square":
        return Crop(how)  # type: ignore
    size = st.slider(_("Size (%)"), 5, 100, 60, key="image_crop_size", bind=state.URL)
    left = st.slider(_("Left to right (%)"), 0, 100, 50, key="image_crop_left", bind=state.URL)
    top = st.slider(_("Top to bottom (%)"), 0, 100, 50, key="image_crop_top", bind=state.URL)
    return Crop("square", size / 100, left / 100, top / 100)


def _marked(rgb: np.ndarray, crop: Crop) -> Image.Image:
    image = Image.fromarray(rgb)
    if min(image.size) > 64 and crop.how != "whole":
        draw = ImageDraw.Draw(image)
        left, top, right, bottom = crop.box(*image.size)
        line = max(image.width // 120, 2)
        draw.rectangle((left, top, right - 1, bottom - 1), outline="#ffffff", width=2 * line)
        draw.rectangle((left, top, right - 1, bottom - 1), outline="#d9273b", width=line)
    elif min(image.size) <= 64:
        image = Image.fromarray(enlarged(rgb, 300 // image.width or 1))
    return image
