"""Choosing the picture, and how it becomes the net's input. Bad files get a sentence each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from analysis.errors import LensError
from analysis.figures.images import enlarged
from analysis.pictures.crops import Crop, to_input
from analysis.pictures.samples import sample, sample_classes, sample_names, sample_title
from analysis.pictures.uploads import Picture
from analysis.runs import Run
from analysis.text import _
from pages.common import cached, classroom, messages, places, state
from pages.lens.panels import browser
from pages.lens.panels.nets import class_word, classes_of


@dataclass(frozen=True, eq=False)
class Subject:
    """The image that is inspected."""

    picture: Picture
    pixels: np.ndarray
    """The nets' input, uint8 (size, size, 3)."""
    label: str = ""
    """Its true class, where it is the data set's, or a sample of one of its classes."""
    fits: bool = True
    """False: a sample that shows none of the nets' classes."""


def choose(runs: Sequence[Run]) -> Subject:
    """The picture, its crop and the pixels that the nets get; stops the page without one."""
    size = runs[0].config.image_size
    choice, shown, result = st.columns([9, 8, 6], gap="medium")
    with choice:
        source = state.choose("image_source", _("Picture"), {
            "sample": _("Samples"), "upload": _("Upload"), "data": _("Test images")})  # fmt: skip
        browser.paste_into("image_files", "image_paste", _show_uploader)
        label, fits = "", True
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
            label = next((c for c in classes_of(runs[0]) if c in sample_classes(name)), "")
            fits = bool(label)
        if picture is None:
            st.stop()
        crop = _crop(picture)
    pixels = to_input(picture.rgb, crop, size)
    with shown:
        _show(picture, crop)
    with result:
        words = _("What the nets get: {size} x {size} pixels").format(size=size)
        shown_pixels = enlarged(pixels, 224 // size or 1)
        st.image(shown_pixels, caption=words, alt=words, width=224, output_format="PNG")
    return Subject(picture, pixels, label, fits)


def _show_uploader() -> None:
    st.session_state["image_source"] = "upload"


def _show(picture: Picture, crop: Crop) -> None:
    """The picture as it was given, with the square that is cut out of it, to be drawn anew."""
    if _is_small(picture):
        rgb = enlarged(picture.rgb, 300 // picture.rgb.shape[1] or 1)
        st.image(rgb, width=300, alt=picture.name, output_format="PNG")
    else:
        browser.draw_square(picture.rgb, crop, "image_drawing", _take_square)
    st.caption(_caption(picture))


def _is_small(picture: Picture) -> bool:
    """Whether there is nothing to cut: it is a net's input already."""
    return max(picture.rgb.shape[:2]) <= 32


def _take_square(crop: Crop) -> None:
    """Put a drawn square into the controls, which have whole percents."""
    st.session_state["image_crop"] = "square"
    for name, part in (("size", crop.size), ("left", crop.left), ("top", crop.top)):
        st.session_state[f"image_crop_{name}"] = round(100 * part)


def _caption(picture: Picture) -> str:
    width, height = picture.size
    notes = map(str, picture.notes)
    return " ".join([f"{messages.literal(picture.name)}, {width} x {height}.", *notes])


def _uploaded() -> Picture | None:
    most = classroom.limits()
    files = st.file_uploader(
        _("Images: PNG, JPEG, WebP, BMP, GIF"),
        type="image",
        accept_multiple_files=True,
        max_upload_size=most.mib,
        key="image_files",
        disabled=not classroom.may_upload(),
        help=_("They stay in the memory of the machine that runs this app, and are never written."),
    )
    if len(files) > most.files:
        st.warning(
            _(
                "{count} files were given; the last {most} are read. Remove some to see others."
            ).format(count=len(files), most=most.files)
        )
    pictures = {}
    for file in files[-most.files :]:
        try:
            pictures[file.file_id] = cached.picture_of(file)
        except LensError as error:
            st.error(messages.literal(str(error)), icon=":material/image_not_supported:")
    if not pictures:
        st.info(_("Choose one or several images."))
        return None
    _choose_newest(list(pictures))
    if len(pictures) == 1:
        return next(iter(pictures.values()))
    chosen = st.pills(
        _("Which one"),
        list(pictures),
        required=True,
        format_func=lambda key: messages.literal(pictures[key].name) if key in pictures else key,
        key="image_which",
    )
    return pictures.get(chosen) or next(iter(pictures.values()))


def _choose_newest(pictures: list[str]) -> None:
    """Of several pictures one that just came, until another is chosen."""
    known = st.session_state.get("image_known", [])
    new = [key for key in pictures if key not in known]
    if new or st.session_state.get("image_which") not in pictures:
        st.session_state["image_which"] = (new or pictures)[0]
    st.session_state["image_known"] = pictures


def _from_data(run: Run) -> tuple[Picture | None, str]:
    if not run.has_images:
        words = _("The images of {run} ({data}) are not on this machine.")
        data = messages.literal(run.data_title) or _("no data set is named")
        advice = _("Choose a sample or upload a picture.")
        st.info(f"{words.format(run=run.net, data=data)} {advice}", icon=":material/database_off:")
        places.ask([run], "chooser")
        return None, ""
    try:
        with classroom.at_work():  # nobody may have unpacked them yet
            classes, labels = cached.classes_of_images(run)
            number = _pick_number(classes, labels)
            rgb = cached.test_image(run, number)
    except LensError as error:
        st.error(messages.literal(str(error)))
        return None, ""
    label = classes[labels[number]]
    name = _("{data}, test image {number}: {label}").format(
        data=run.data_title, number=number, label=class_word(label)
    )
    return Picture(name, rgb, (rgb.shape[1], rgb.shape[0])), label


def _pick_number(classes: Sequence[str], labels: np.ndarray) -> int:
    """A test image by its number, or any one, of a class or of all."""
    last = len(labels) - 1
    number = st.number_input(
        _("Number of the test image"),
        0,
        last,
        0,
        key="image_number",
        bind=state.of_number("image_number"),
    )
    names = [_("any class"), *map(class_word, classes)]
    with state.row():
        wanted = st.selectbox(
            _("Class"), range(len(names)), format_func=names.__getitem__,
            key="image_class",
        )  # fmt: skip
        st.button(_("Another one"), on_click=_take_another, args=(labels, wanted - 1))
    return int(number)


def _take_another(labels: np.ndarray, wanted: int) -> None:
    of_class = np.flatnonzero(labels == wanted) if wanted >= 0 else np.arange(len(labels))
    if len(of_class):
        st.session_state["image_number"] = int(np.random.default_rng().choice(of_class))


def _crop(picture: Picture) -> Crop:
    if _is_small(picture):
        return Crop()
    how = state.choose("image_crop", _("Crop"), {
        "centre": _("Centre"), "whole": _("Whole, padded"),
        "square": _("Custom")},
        help=_("Or drag on the picture: a new square, the square itself, or its corners."),
    )  # fmt: skip
    if how == "square":
        return _square()
    st.query_params.pop(SQUARE, None)
    return Crop(how)  # type: ignore


SQUARE = "image_square"
"""In the address: size, left and top of the square in percent. Written by hand, since a slider that
comes with a drawn value does not write its own."""


def _square() -> Crop:
    for name, value in zip(("size", "left", "top"), _square_of_link(), strict=True):
        st.session_state.setdefault(f"image_crop_{name}", value)
    size = st.slider(_("Size (%)"), 5, 100, key="image_crop_size")
    left = st.slider(_("Left to right (%)"), 0, 100, key="image_crop_left")
    top = st.slider(_("Top to bottom (%)"), 0, 100, key="image_crop_top")
    st.query_params[SQUARE] = f"{size},{left},{top}"
    return Crop("square", size / 100, left / 100, top / 100)


def _square_of_link() -> tuple[int, int, int]:
    """What the address says, or a square in the middle."""
    found = re.fullmatch(r"(\d{1,3}),(\d{1,3}),(\d{1,3})", st.query_params.get(SQUARE, ""))
    size, left, top = map(int, found.groups()) if found else (60, 50, 50)
    return min(max(size, 5), 100), min(left, 100), min(top, 100)
