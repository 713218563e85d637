"""Checking what a JSON file of a run holds, field by field, before anything is made of it.

The one table of fields is the dataclass itself: its annotations say type and, through `Range`, the
numbers that make sense. Unknown fields are left alone, since a newer version may have written them.
"""

from __future__ import annotations

import math
import types
from dataclasses import dataclass, fields
from functools import cache
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
    for field, hint in _hints(cls).items():
        if field in values:
            check(values[field], hint, file, f"{name}.{field}" if name else field)
    return values


def check(value: object, hint: Any, file: str, name: str) -> None:
    """Raises RunDamaged where a value is not what an annotation says."""
    wrong = _wrong(value, hint)
    if wrong:
        raise _damaged(file, name, value, wrong)


@cache
def _parts(hint: Any) -> tuple[Any, tuple]:
    return get_origin(hint), get_args(hint)


@cache
def _hints(cls: Any) -> dict[str, Any]:
    known = get_type_hints(cls, include_extras=True)
    return {field.name: known[field.name] for field in fields(cls)}


def _wrong(value: object, hint: Any) -> Message | None:
    """What the value should have been; None where it is."""
    kind, parts = _parts(hint)
    if kind is None:
        return _wrong_simple(value, hint)
    if kind is Annotated:
        return _wrong(value, parts[0]) or _outside(value, parts[1])
    if kind in (Union, types.UnionType):
        if value is None and type(None) in parts:
            return None
        problems = [_wrong(value, part) for part in parts if part is not type(None)]
        return None if None in problems else problems[0]
    if kind is Literal:
        listed = ", ".join(map(str, parts))
        return None if value in parts and isinstance(value, str) else Message(listed)
    if kind is tuple:
        return _wrong_list(value, parts)
    if kind is dict:
        return None if isinstance(value, dict) else Message("an object")
    return None


def _wrong_simple(value: object, hint: Any) -> Message | None:
    if hint is bool:
        return None if isinstance(value, bool) else Message("true or false")
    if hint is int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return None if whole and abs(value) < LARGEST else Message("a whole number")
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return None if number and abs(value) < 1e300 else Message("a number")
    if hint is str:
        return None if isinstance(value, str) and "\0" not in value else Message("a text")
    return None


def _wrong_list(value: object, parts: tuple) -> Message | None:
    if not isinstance(value, list | tuple):
        return Message("a list")
    if parts[-1] is Ellipsis:
        parts = parts[:1] * len(value)
    if len(parts) != len(value):
        return Message("a list of {length} values", length=len(parts))
    problems = (_wrong(item, part) for item, part in zip(value, parts, strict=True))
    wrong = next((problem for problem in problems if problem), None)
    return Message("a list of which each is {kind}", kind=wrong) if wrong else None


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
