"""Two languages through one catalogue: no message without Chinese, none with other places."""

from __future__ import annotations

import ast
import gettext
import json
import pickle
import string
import threading
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.pofile import read_po

from analysis import text
from analysis.errors import RunDamaged
from analysis.text import LOCALE, Message, _, best_language, language

ROOT = Path(__file__).resolve().parents[1]
PO = LOCALE / "zh_CN" / "LC_MESSAGES" / "messages.po"


def errors() -> set[str]:
    """The names of LensError and of all that the package derives from it, loaded or not."""
    files = (ROOT / "analysis").rglob("*.py")
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found, more = set(), {"LensError"}
    while more:
        found |= more
        more = {name for name, parents in bases.items() if parents & more} - found
    return found


MESSAGES = {"Message", *errors()}
KEYWORDS = dict.fromkeys(("_", *MESSAGES))


def messages() -> set[str]:
    """Every literal inside `_()`, `Message()` or an error in the app, the pages and the package."""
    found = {row[1] for row in extract_from_file("python", ROOT / "app.py", KEYWORDS)}
    for folder in ("pages", "analysis"):
        found |= {row[2] for row in extract_from_dir(ROOT / folder, keywords=KEYWORDS)}
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
    assert found == {"en": "Epoch", "zh_CN": "轮次（epoch）"}
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


NONFINITE = (
    "the loss became infinite or not a number in epoch {epoch}, update {step}, at learning rate "
    "{lr:.4g}. The weights of epoch {whole} are kept; try a smaller --lr or another seed."
)


def deeply(levels: int) -> dict:
    held: dict = {"text": "{file} is missing", "values": {"file": "x"}}
    for _level in range(levels):
        held = {"text": "config.json: {error}", "values": {"error": held}}
    return held


def in_chinese(message: object) -> str:
    token = language.set("zh_CN")
    try:
        return str(message)
    finally:
        language.reset(token)


def test_an_error_is_read_in_the_language_of_its_reader():
    """It may be raised by one thread, or kept in a cache, and shown to several sessions."""
    error = RunDamaged("{file} is missing", file="history.csv")
    nested = RunDamaged("{run}: {reason}", run="a", reason=error)
    assert str(nested) == "a: history.csv is missing"
    assert "history.csv" in in_chinese(nested)
    assert "missing" not in in_chinese(nested)
    assert str(pickle.loads(pickle.dumps(nested))) == str(nested)


def test_a_recorded_message_is_english_on_disk_and_read_in_any_language():
    """Whoever's language it was written in."""
    message = Message("{file} is missing", file=Path("history.csv"))
    token = language.set("zh_CN")
    try:
        held = json.loads(json.dumps(message.to_json()))
        assert message.english() == "history.csv is missing"
    finally:
        language.reset(token)
    assert str(Message.from_json(held)) == "history.csv is missing"
    assert in_chinese(Message.from_json(held)) == in_chinese(message) != str(message)


def test_a_part_of_a_recorded_message_is_read_in_any_language_too():
    """Ours is looked up again; what a library said stays as it was."""
    reason = "{net} does not fit in the memory of {device}: {reason}. {remedy}"
    remedy = Message("Use a smaller --batch-size or a smaller net.")
    message = Message(reason, net="n", device="cpu", reason=Message("torch's words"), remedy=remedy)
    held = Message.from_json(json.loads(json.dumps(message.to_json())))
    assert str(held) == message.english()
    assert in_chinese(held) == in_chinese(message)
    assert "smaller" not in in_chinese(held)


@pytest.mark.parametrize(
    "held",
    [
        None,
        "text",
        {"text": "{a.__class__}", "values": {"a": "x"}},
        {"text": "{a:>9999999999}", "values": {"a": "x"}},
        {"text": "{file} is missing", "values": {}},
        {"text": "{file} is missing", "values": ["file"]},
        {
            "text": "{net} needs about {needed:.1f} GiB of memory",
            "values": {"net": 1, "needed": None},
        },
        {"text": NONFINITE, "values": {"epoch": 1, "step": 1, "whole": 0, "lr": None}},
        {"text": NONFINITE, "values": {"epoch": 1, "step": 1, "whole": 0, "lr": 10**400}},
        {"text": "config.json: {error}", "values": {"error": {"text": "no such", "values": {}}}},
        deeply(25),
        deeply(400),
    ],
)
def test_a_text_from_a_file_is_formatted_only_if_it_is_ours(held):
    """Places can reach into objects or be a gigabyte wide."""
    assert Message.from_json(held) is None


def calls_of_messages() -> list[tuple[str, ast.Call]]:
    """Where, and what: every `Message(...)` and every error that is made of words."""
    found = []
    for path in [*(ROOT / "analysis").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                if name in MESSAGES and node.args:
                    found.append((f"{path.relative_to(ROOT)}:{node.lineno}", node))
    return found


def test_every_error_says_its_words_as_the_catalogue_finds_them():
    """A literal, not an f-string or a sum; behind it a value for every place and no other."""
    wrong = []
    for where, call in calls_of_messages():
        text = call.args[0]
        if isinstance(text, ast.JoinedStr | ast.BinOp):
            wrong.append(where)
        elif isinstance(text, ast.Constant) and all(keyword.arg for keyword in call.keywords):
            given = {keyword.arg for keyword in call.keywords}
            wrong += [where] if given and given != places(str(text.value)) else []
    assert wrong == []
