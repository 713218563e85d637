"""The stack of an unpickler that builds plain containers, bounded, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from analysis.errors import ImportRefused
from analysis.exchange.importing.stubs import Attributed, StandIn

MAX_PICKLE = 4 * 2**20
"""Bytes of pickle that are looked at; ResNet-1202 with its optimiser has 2.2 MB."""
MAX_KEYS = 20_000
"""Entries of all dictionaries together; ResNet-1202 with its optimiser has 11,000."""
MAX_OBJECT_KEYS = 200_000
"""The same where the file holds whole modules: each of them has some thirty."""


@dataclass(frozen=True)
class Name:
    """A class or function that the pickle names; it is never looked up."""

    name: str


_PLAIN = str | int | float | bytes | None | StandIn | Name
"""What may be the key of a dictionary, also within a tuple."""


class Containers:
    """Lists, tuples and dictionaries on a stack; a value never has a method of the file's."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.keys = 0
        self.most = MAX_KEYS

    def make_room(self) -> None:
        """Allow for as many entries as whole modules have."""
        self.most = MAX_OBJECT_KEYS

    def popmark(self) -> list[Any]:
        """What was pushed since the last mark."""
        items, self.stack = self.stack, self.marks.pop()
        return items

    def mark(self) -> None:
        """Begin a group."""
        self.marks.append(self.stack)
        self.stack = []

    def pop(self) -> None:
        """Drop the last value."""
        if self.stack:
            self.stack.pop()
        else:
            self.popmark()

    def drop(self) -> None:
        """Drop a group."""
        self.popmark()

    def tuple_(self) -> None:
        """A group as a tuple."""
        items = tuple(self.popmark())
        self.stack.append(items)

    def tuple_of(self, n: int) -> None:
        """The last n values as a tuple."""
        self.stack[-n:] = [tuple(self.stack[-n:])]

    def append(self) -> None:
        """One value into a list."""
        value = self.stack.pop()
        self._extend([value])

    def appends(self) -> None:
        """A group into a list."""
        self._extend(self.popmark())

    def _extend(self, values: list[Any]) -> None:
        match self.stack[-1]:
            case list() as target:
                target.extend(values)
            case StandIn():
                pass  # an object that is a list: no state dict
            case _:
                raise ValueError("appends to what is no list")

    def frozenset_(self) -> None:
        """A group as a stand-in."""
        self.popmark()
        self.stack.append(StandIn("builtins.frozenset"))

    def setitem(self) -> None:
        """One entry into a dictionary."""
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def setitems(self) -> None:
        """A group of entries into a dictionary."""
        self._set(self.popmark())

    def _set(self, flat: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, StandIn):
            target = target.entries
        if not isinstance(target, dict):
            raise ValueError("sets entries of what is no dictionary")
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            self._put(target, key, value)

    def _put(self, target: dict, key: Any, value: Any) -> None:
        # Only plain keys: hashing a tuple of tuples of tuples ... can take for ever.
        if not isinstance(key, _PLAIN):
            flat = (
                isinstance(key, tuple)
                and len(key) < 16
                and all(isinstance(part, _PLAIN) for part in key)
            )
            if not flat:
                raise ImportRefused(
                    "a dictionary in it has a {kind} for a key", kind=type(key).__name__
                )
        self.keys += 1
        if self.keys > self.most:
            raise ImportRefused(
                "it has more than {most:,} entries; the deepest net here, ResNet-1202, has "
                "7,208 tensors",
                most=self.most,
            )
        target[key] = value

    def made_dict(self, items: Any) -> Attributed:
        """A dictionary of these entries."""
        made = Attributed()
        for key, value in items.items() if isinstance(items, dict) else items:
            self._put(made, key, value)
        return made
