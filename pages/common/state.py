"""Controls whose value is in the address, so that a link reopens the view.

A key begins with its page's name: the address is one for all pages. In the address stand the
words that the user sees, so options of a control are never called alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

URL: Literal["query-params"] = "query-params"

Value = TypeVar("Value", bound=str)


def of_number(key: str) -> Literal["query-params"] | None:
    """How a number input is bound: to the address, unless that has a number without end for it.

    Streamlit's number input breaks on those.
    """
    for value in st.query_params.get_all(key):
        with suppress(ValueError):
            if math.isinf(float(value)):
                return None
    return URL


def row() -> DeltaGenerator:
    """A line of controls that wraps where there is no room."""
    return st.container(horizontal=True, vertical_alignment="bottom", gap="small")


def choose(key: str, label: str, options: Mapping[Value, str], help: str | None = None) -> Value:
    """One of a few options, shown as buttons; the first is the default.

    Args:
        key: page_control.
        label: what is chosen.
        options: value by what the user reads.
        help: a tooltip.
    """
    values = list(options)
    chosen = st.segmented_control(
        label,
        values,
        default=values[0],
        required=True,
        format_func=options.__getitem__,
        key=key,
        bind=URL,
        wrap=True,  # or the last one is cut on a phone
        help=help,
    )
    return chosen or values[0]


def choose_epoch(key: str, label: str, epochs: Sequence[int]) -> int | None:
    """One of the recorded epochs; None for the last, which is the default."""
    if len(epochs) < 2:
        return None
    chosen = st.select_slider(label, epochs, value=epochs[-1], key=key, bind=URL, width=300)
    return None if chosen == epochs[-1] else chosen
