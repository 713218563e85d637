"""The one door for words that users see: `_("English text")` gives it in the reader's language.

The English text is the key of a gettext catalogue in `locale/`. The language is a context
variable, so that two browser sessions in two threads can read two languages. Figures and pages
call `_` when they build, never at import. What is kept, or raised by one thread and shown by
another (errors, the reason why a run stopped), is a `Message`, which is looked up where it is read.
"""

from __future__ import annotations

import gettext
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

LOCALE = Path(__file__).with_name("locale")
LANGUAGES = {"en": "English", "zh_CN": "简体中文"}
"""Language by code, each called as its readers call it."""

language: ContextVar[str] = ContextVar("language", default="en")

_asked: Callable[[], str | None] = lambda: None  # noqa: E731


def follow(asked: Callable[[], str | None]) -> None:
    """Let somebody else say which language is wanted at each call; None leaves it to `language`."""
    global _asked
    _asked = asked


_within: ContextVar[str] = ContextVar("within", default="")


@contextmanager
def in_language(code: str) -> Generator[None]:
    """Within it all is said in one language: nobody is asked for each of thousands of words."""
    token = _within.set(code)
    try:
        yield
    finally:
        _within.reset(token)


def in_all_languages(say: Callable[[], str]) -> set[str]:
    """What a function says in each language: to know words again that were kept in another."""
    found = set()
    for code in LANGUAGES:
        with in_language(code):
            found.add(say())
    return found


def current_language() -> str:
    """The code of the language that is asked for now."""
    return _within.get() or _asked() or language.get()


def _(message: str) -> str:
    """The message in the current language; the message itself where there is no translation."""
    code = current_language()
    return message if code == "en" or not message else _catalogue(code).gettext(message) or message


class _Unknown(gettext.NullTranslations):
    """Asked where a catalogue has nothing, so that this differs from a text that stays as it is."""

    def gettext(self, message: str) -> str:
        return ""


@cache
def _catalogue(code: str) -> gettext.NullTranslations:
    found = gettext.translation("messages", LOCALE, [code], fallback=True)
    if not isinstance(found, gettext.GNUTranslations):
        return _Unknown()
    found.add_fallback(_Unknown())
    return found


def best_language(wanted: str | None) -> str:
    """The language of ours that suits a browser's (`zh`, `zh-Hans-CN`, `en-GB`); else English."""
    return "zh_CN" if (wanted or "").lower().startswith("zh") else "en"


_DEEPEST = 20
"""Messages within messages that are read from a file; ours are two or three deep."""


class Message:
    """A text with values for its places, in the language of whoever reads it: `str()` looks it up.

    The values may be messages, errors or `Listed` themselves, and are turned into words as late.
    A text without values is taken as it stands, braces and all.
    """

    def __init__(self, text: str = "", /, **values: object) -> None:
        self.text, self.values = text, values

    def __str__(self) -> str:
        words = _(self.text)
        return words.format(**self.values) if self.values else words

    def __bool__(self) -> bool:
        return bool(self.text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return (self.text, self.english()) == (other.text, other.english())

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return repr(str(self))

    def english(self) -> str:
        """As recorded in files and logs, whoever reads them."""
        if not self.values:
            return self.text
        return self.text.format(**{name: _english(value) for name, value in self.values.items()})

    def to_json(self) -> dict[str, Any]:
        """Text and values; of a value that JSON does not know, its words."""
        return {"text": self.text, "values": {k: _plain(v) for k, v in self.values.items()}}

    @classmethod
    def from_json(cls, held: Any) -> Self | None:
        """What `to_json` gave; None if a text in it is none of ours, or its values don't fit.

        A text from a file is never formatted unless the catalogue holds it: places may reach into
        what fills them (`{run.__class__}`) or be a gigabyte wide.
        """
        try:
            message = cls._from_json(held, _DEEPEST)
            str(message), message.english()
        except (
            AttributeError,
            ArithmeticError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ):
            return None  # a value is missing, or a word where a number should be
        return message

    @classmethod
    def _from_json(cls, held: Any, levels: int) -> Self:
        text, values = held["text"], held["values"]
        if not isinstance(text, str) or not is_known(text) or not levels:
            raise ValueError(text)
        kept = {
            n: cls._from_json(v, levels - 1) if isinstance(v, dict) else v
            for n, v in values.items()
        }
        if not kept:
            text.format()  # places without values
        return cls(text, **kept)


@dataclass(frozen=True)
class Listed:
    """Several values or messages in a row, turned into words where they are read."""

    parts: tuple[object, ...]
    separator: str = ", "

    def __str__(self) -> str:
        own = {", ": _(", "), "; ": _("; ")}.get(self.separator, self.separator)
        return own.join(map(str, self.parts))


def is_known(text: str) -> bool:
    """Whether the catalogue holds this English text."""
    return any(_catalogue(code).gettext(text) for code in LANGUAGES if code != "en")


def _message_in(value: object) -> object:
    return getattr(value, "message", value)  # an error's


def _english(value: object) -> object:
    match _message_in(value):
        case Message() as message:
            return message.english()
        case Listed(parts, separator):
            return separator.join(str(_english(part)) for part in parts)
        case other:
            return other


def _plain(value: object) -> Any:
    match _message_in(value):
        case Message() as message:
            return message.to_json() if is_known(message.text) else message.english()
        case str() | int() | float() as plain:
            return plain
        case other:
            return str(_english(other))
