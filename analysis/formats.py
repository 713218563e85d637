"""One way to write each quantity, in figures, tables, reports and the terminal alike.

A percentage has two places and a space before its sign, a response three places, a difference a
sign (U+2212 for minus), a count of millions an M. No torch.
"""

from __future__ import annotations

import math

MINUS = "\u2212"
NONE = "\u2013"
"""Where there is no number: an en dash."""


def number(value: float, places: int) -> str:
    """`0.843`; `–` for NaN or None, and a true minus sign."""
    if value is None or math.isnan(value):
        return NONE
    return f"{value:.{places}f}".replace("-", MINUS)


def percent(value: float, places: int = 2) -> str:
    """`13.37 %`, of a value in percent."""
    words = number(value, places)
    return words if words == NONE else f"{words} %"


def response(value: float) -> str:
    """A layer's response, or a mean of them: `0.843`."""
    return number(value, 3)


def signed(value: float, places: int = 2) -> str:
    """A difference: `+1.18`, `−0.83`."""
    if math.isnan(value):
        return NONE
    return f"{value:+.{places}f}".replace("-", MINUS)


def millions(value: float) -> str:
    """`0.27 M`."""
    return NONE if value is None or math.isnan(value) else f"{value / 1e6:.2f} M"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def small(value: float) -> str:
    """A difference that may be tiny: `0`, `0.012`, `1.2 × 10⁻⁶`."""
    if value == 0:
        return "0"
    if abs(value) >= 0.001:
        return number(value, 3)
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_RAISED)}".replace("-", MINUS)
