"""Two languages through one catalogue: no message without Chinese, none with other places."""

from __future__ import annotations

import gettext
import string
import threading
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from analysis import text
from analysis.text import LOCALE, _, best_language, language

ROOT = Path(__file__).resolve().parents[1]
PO = LOCALE / "zh_CN" / "LC_MESSAGES" / "messages.po"


def messages() -> set[str]:
    """Every literal inside `_()` in the app, the pages and the package."""
    found = set()
    for folder in ("pages", "analysis"):
        for _file, _line, message, _comments, _context in extract_from_dir(
            ROOT / folder, keywords={"_": None}
        ):
            found.add(message)
    from babel.messages.extract import extract_from_file

    with open(ROOT / "app.py", "rb"):
        found |= {row[1] for row in extract_from_file("python", ROOT / "app.py", {"_": None})}
    return found


def places(message: str) -> set[str]:
    """The names in braces."""
    return {name for _text, name, _format, _conversion in string.Formatter().parse(message) if name}


def chinese() -> gettext.NullTranslations:
    return gettext.translation("messages", LOCALE, ["zh_CN"])


def test_no_shown_message_is_without_chinese():
    """See analysis/locale/README.md for how to add those that fail here."""
    with PO.open("rb") as file:
        translated = {message.id for message in read_po(file) if message.string}
    assert sorted(messages() - translated) == []


def test_every_translation_has_the_places_of_its_message():
    """`{run}` in one is `{run}` in the other; format errors would otherwise reach the user."""
    catalogue = chinese()
    wrong = [m for m in messages() if "{" in m and places(m) != places(catalogue.gettext(m))]
    assert wrong == []


def test_the_compiled_catalogue_is_the_written_one():
    """`pybabel compile` was not forgotten."""
    catalogue = chinese()
    with PO.open("rb") as file:
        for message in read_po(file):
            if message.id:
                assert catalogue.gettext(message.id) == (message.string or message.id)


def test_a_thread_has_its_own_language():
    """Two sessions in two threads read two languages."""
    found = {}

    def read(code: str) -> None:
        language.set(code)
        found[code] = _("Epoch")

    threads = [threading.Thread(target=read, args=(code,)) for code in ("en", "zh_CN")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"en": "Epoch", "zh_CN": "轮"}
    assert _("Epoch") == "Epoch"


def test_what_has_no_translation_stays_english():
    """Never an empty place, never an error."""
    token = language.set("zh_CN")
    try:
        assert _("no such message") == "no such message"
        assert _("") == ""
    finally:
        language.reset(token)


@pytest.mark.parametrize(
    ("browser", "code"),
    [("zh", "zh_CN"), ("zh-Hans-CN", "zh_CN"), ("en-GB", "en"), ("de", "en"), (None, "en")],
)
def test_the_browsers_language_picks_ours(browser, code):
    """Chinese of any kind is Chinese, everything else English."""
    assert best_language(browser) == code
    assert code in text.LANGUAGES
