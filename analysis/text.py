"""The one door for words that users see: `_("English text")` gives it in the reader's language.

The English text is the key. The language is a context variable, so that two browser sessions in
two threads can read two languages. Figures and pages call `_` when they build, never at import.
"""

from __future__ import annotations

from contextvars import ContextVar

language: ContextVar[str] = ContextVar("language", default="en")


def _(message: str) -> str:
    """The message in the current language; the message itself where none is set."""
    return message
