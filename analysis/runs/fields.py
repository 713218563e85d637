"""Checking what a JSON file of a run holds, field by field, before anything is made of it.

The one table of fields is the dataclass itself: its annotations say type and, through `Range`, the
numbers that make sense. Unknown fields are left alone, since a newer version may have written them.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache, partial
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from analysis.errors import RunDamaged
from analysis.text import Message

LARGEST = 2**63
"""No whole number in a run's files is that large; a seed may be nearly."""


@dataclass(frozen=True)
class Range:
    """The numbers that a field may hold."""

    low: float
    high: float

    def words(self) -> Message:
        """For the message of one that is outside."""
        if self.high == math.inf:
            return Message("a number from {low} up", low=self.low)
        return Message("a number from {low} to {high}", low=self.low, high=self.high)


Count = Annotated[int, Range(0, 10**12)]
Percent = Annotated[float, Range(0, 100)]
Positive = Annotated[float, Range(0, math.inf)]


def check_fields(cls: Any, values: object, file: str, name: str = "") -> dict[str, Any]:
    """The object that describes a dataclass, every known field of its type.

    Args:
        cls: the dataclass.
        values: as read from the file; fields may be missing.
        file: for the message.
        name: of the field that holds the object; empty for the file itself.

    Raises:
        RunDamaged: not an object, or a field is not of its type or out of its range.
    """
    if not isinstance(values, dict):
        raise _damaged(file, name, values, Message("an object"))
    for field, wrong_of in _checks(cls).items():
        if field in values and (wrong := wrong_of(values[field])):
            where = f"{name}.{field}" if name else field
            raise _damaged(file, where, values[field], wrong)
    return values


def check(value: object, hint: Any, file: str, name: str) -> None:
    """Raises RunDamaged where a value is not what an annotation says."""
    wrong = _check(hint)(value)
    if wrong:
        raise _damaged(file, name, value, wrong)


_Check = Callable[[Any], Message | None]
"""Of a value: what it should have been; None where it is."""


@cache
def _checks(cls: Any) -> dict[str, _Check]:
    known = get_type_hints(cls, include_extras=True)
    return {field.name: _check(known[field.name]) for field in fields(cls)}


@cache
def _check(hint: Any) -> _Check:
    kind, parts = get_origin(hint), get_args(hint)
    if kind is Annotated:
        simple, limits = _check(parts[0]), parts[1]
        return lambda value: simple(value) or _outside(value, limits)
    if kind in (Union, types.UnionType):
        return partial(_wrong_choice, [_check(p) for p in parts if p is not type(None)],
                       type(None) in parts)  # fmt: skip
    if kind is Literal:
        listed = ", ".join(map(str, parts))
        return lambda v: None if isinstance(v, str) and v in parts else Message(listed)
    if kind is tuple:
        return partial(_wrong_list, parts)
    return _SIMPLE.get(kind or hint, lambda value: None)


def _wrong_choice(checks: list[_Check], or_none: bool, value: object) -> Message | None:
    if value is None and or_none:
        return None
    problems = [wrong_of(value) for wrong_of in checks]
    return None if None in problems else problems[0]


def _wrong_list(parts: tuple, value: object) -> Message | None:
    if not isinstance(value, list | tuple):
        return Message("a list")
    if parts[-1] is Ellipsis:
        parts = parts[:1] * len(value)
    if len(parts) != len(value):
        return Message("a list of {length} values", length=len(parts))
    problems = (_check(part)(item) for item, part in zip(value, parts, strict=True))
    wrong = next((problem for problem in problems if problem), None)
    return Message("a list of which each is {kind}", kind=wrong) if wrong else None


def _wrong_bool(value: object) -> Message | None:
    return None if isinstance(value, bool) else Message("true or false")


def _wrong_int(value: object) -> Message | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return None if whole and abs(value) < LARGEST else Message("a whole number")


def _wrong_float(value: object) -> Message | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if number and abs(value) < 1e300 else Message("a number")


def _wrong_text(value: object) -> Message | None:
    return None if isinstance(value, str) and "\0" not in value else Message("a text")


def _wrong_object(value: object) -> Message | None:
    return None if isinstance(value, dict) else Message("an object")


_SIMPLE: dict[Any, _Check] = {
    bool: _wrong_bool, int: _wrong_int, float: _wrong_float, str: _wrong_text, dict: _wrong_object,
}  # fmt: skip


def _outside(value: Any, limits: Range) -> Message | None:
    if limits.low <= value <= limits.high:
        return None
    return Message("a whole number") if isinstance(value, int) else limits.words()


def _damaged(file: str, name: str, value: object, wanted: Message) -> RunDamaged:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    if not name:
        return RunDamaged("{file} holds no JSON object", file=file)
    return RunDamaged(
        "{file}: {name} is {value}, not {wanted}", file=file, name=name, value=shown, wanted=wanted
    )
