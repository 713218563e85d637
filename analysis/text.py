"""The one door for words that users see: `_("English text")` gives it in the reader's language.

The English text is the key of a gettext catalogue in `locale/`. The language is a context
variable, so that two browser sessions in two threads can read two languages. Figures and pages
call `_` when they build, never at import.
"""

from __future__ import annotations

import gettext
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from pathlib import Path

LOCALE = Path(__file__).with_name("locale")
LANGUAGES = {"en": "English", "zh_CN": "简体中文"}
"""Language by code, each called as its readers call it."""

language: ContextVar[str] = ContextVar("language", default="en")

_asked: Callable[[], str | None] = lambda: None  # noqa: E731


def follow(asked: Callable[[], str | None]) -> None:
    """Let somebody else say which language is wanted at each call; None leaves it to `language`."""
    global _asked
    _asked = asked


def _(message: str) -> str:
    """The message in the current language; the message itself where there is no translation."""
    code = _asked() or language.get()
    return message if code == "en" or not message else _catalogue(code).gettext(message)


@cache
def _catalogue(code: str) -> gettext.NullTranslations:
    return gettext.translation("messages", LOCALE, [code], fallback=True)


def best_language(wanted: str | None) -> str:
    """The language of ours that suits a browser's (`zh`, `zh-Hans-CN`, `en-GB`); else English."""
    return "zh_CN" if (wanted or "").lower().startswith("zh") else "en"
