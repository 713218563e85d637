"""What Streamlit has no widget for: a picture from the clipboard, a square drawn with the mouse."""

from __future__ import annotations

import base64
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from analysis.pictures.crops import LEAST, Crop
from analysis.text import _

_FILES = Path(__file__).resolve().parents[2] / "common" / "assets"
WIDTH = 300
"""Of a picture to draw on, in CSS pixels."""


def _file(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")


_paste = st.components.v2.component(
    "residual_lens_paste",
    html='<div class="row"><button type="button"></button><span role="status"></span></div>',
    css=_file("paste.css"),
    js=_file("paste.js"),
)
_square = st.components.v2.component(
    "residual_lens_square",
    html='<div class="stage"><img><div class="square" hidden><i data-corner="nw"></i>'
    '<i data-corner="ne"></i><i data-corner="sw"></i><i data-corner="se"></i></div></div>',
    css=_file("square.css"),
    js=_file("square.js"),
)


def paste_into(uploader: str, key: str, on_wanted: Callable[[], None]) -> None:
    """A button, and Ctrl+V, that put the clipboard's picture into a file uploader.

    Args:
        uploader: key of the file uploader.
        key: of this element.
        on_wanted: called where something was pasted and the uploader is not shown: show it.
    """
    _paste(
        key=key,
        data={
            "uploader": uploader,
            "words": {
                "button": _("Paste a picture"),
                "help": _("Or press Ctrl+V (on a Mac ⌘V) anywhere on this page."),
                "none": _("There is no picture in the clipboard."),
                "refused": _("The browser keeps its clipboard to itself: press Ctrl+V instead."),
            },
        },
        on_wanted_change=on_wanted,
        height="content",
    )


def draw_square(rgb: np.ndarray, crop: Crop, key: str, on_drawn: Callable[[Crop], None]) -> None:
    """A picture to draw a square on.

    Args:
        rgb: uint8 (H, W, 3).
        crop: the square to begin with; none is shown of `whole`.
        key: of this element.
        on_drawn: called with the new square.
    """
    height, width = rgb.shape[:2]

    def drawn() -> None:
        found = _read_square(st.session_state[key].get("drawn"), width, height)
        if found:
            on_drawn(found)

    left, top, right, bottom = crop.box(width, height)
    square = {
        "left": left / width, "top": top / height,
        "width": (right - left) / width, "height": (bottom - top) / height,
    }  # fmt: skip
    _square(
        key=key,
        data={
            "picture": _encoded(rgb),
            "alt": _("The picture, and the square that the nets get"),
            "hint": _("Drag to draw a square"),
            "coarse": min(width, height) <= 64,
            "movable": crop.how == "square",
            "least": LEAST,
            "square": None if crop.how == "whole" else square,
        },
        on_drawn_change=drawn,
        height="content",
    )


def _read_square(drawn: Any, width: int, height: int) -> Crop | None:
    """A square that a browser sent; None where it makes no sense."""
    try:
        left, top, side = (float(drawn[edge]) for edge in ("left", "top", "width"))
    except (TypeError, KeyError, ValueError):
        return None
    if not np.isfinite([left, top, side]).all():
        return None
    return Crop.of_box(left * width, top * height, side * width, width, height)


def _encoded(rgb: np.ndarray) -> str:
    """A data URL; twice the width that is shown, for screens with fine pixels."""
    image = Image.fromarray(rgb)
    image.thumbnail((2 * WIDTH, 4 * WIDTH))
    buffer = BytesIO()
    small = min(image.size) <= 64
    image.save(buffer, "PNG" if small else "JPEG", quality=88)
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
