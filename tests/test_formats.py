"""One way to write each quantity: `pytest tests/test_formats.py`."""

from __future__ import annotations

import math

from analysis import formats


def test_each_quantity_has_one_form():
    """Two places and a space for percent, three for responses, a true minus, M for millions."""
    assert formats.percent(13.3666) == "13.37 %"
    assert formats.response(0.8434) == "0.843"
    assert formats.signed(-0.834) == "−0.83"
    assert formats.signed(1.175) == "+1.18"
    assert formats.millions(269_722) == "0.27 M"
    assert formats.number(-1.0, 1) == "−1.0"


def test_what_is_not_known_is_a_dash():
    """In every form."""
    for written in (formats.percent, formats.response, formats.signed, formats.millions):
        assert written(math.nan) == "–"


def test_tiny_differences_are_powers_of_ten():
    """And nothing is 0."""
    assert [formats.small(v) for v in (0.0, 0.0123, 1.234e-6, -4.8e-10)] == [
        "0", "0.012", "1.2 × 10⁻⁶", "−4.8 × 10⁻¹⁰",
    ]  # fmt: skip
