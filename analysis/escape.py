"""Text on its way out, shown as it was typed: one function for each way.

Names of runs, classes and folders, titles and what foreign files say are anybody's text. In
Markdown, plotly, HTML, on a terminal and in a spreadsheet some characters would do something; here
they are made to be read. Our own sentences, which may have markup, pass the values for their places
through one of these.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 300
"""Characters of a name or a title that are shown; more is cut, with an ellipsis."""

_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""Change the direction of what follows, or can't be seen."""
_UNSEEN = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of control characters, half surrogates, line and paragraph separators."""
# An underscore between letters is one: run ids stay as they are.
_MARKDOWN = re.compile(
    r"([\\`*\[\]$<>~&|#]|(?<![^\W_])_|_(?![^\W_])|^\s*[-+=](?=\s|[-=])|(?<=\d)[.)](?=\s))",
    re.MULTILINE,
)
# What Streamlit makes of text after Markdown was read, so that a backslash is of no help: emoji,
# icons and directives by their codes, links of addresses, signs of arrows and dashes.
_REPLACED = re.compile(
    r"(?<=:)(?=[\w/+-]+[:\[])|(?<=https:)(?=//)|(?<=http:)(?=//)|(?<=www)(?=\.)|(?<=[\w.+-])(?=@\w)"
    r"|(?:(?<=\s[-<>~])|(?<=^[-<>~]))(?=[-=]?[->=](?:\s|$))",
    re.IGNORECASE | re.MULTILINE,
)
_JOINER = "\u2060"
"""Word joiner: can't be seen and takes no room, and no such code or address has one."""
_FORMULA = re.compile(r"(^|[;\t\r\n])(?=[=+@\t\r\n\uff1d\uff0b\uff0d\uff20-])")
"""Where a spreadsheet takes what follows for a formula: in a cell, or where it divides one anew."""


def visible(text: object) -> str:
    """Control characters and direction marks written out (`\\u001b`); lines stay lines."""
    text = str(text)
    if text.replace("\n", "").isprintable():  # nearly every text, told at once
        return text
    return "".join(
        c if c in "\n\t" or not (c in _MARKS or unicodedata.category(c) in _UNSEEN) else _code(c)
        for c in text
    )


def _code(character: str) -> str:
    return f"\\u{ord(character):04x}"  # as JSON writes it


def one_line(text: object, most: int = LONGEST) -> str:
    """A name in a line or a table of a terminal: visible, in one line, not endless."""
    text = str(text)
    if len(text) <= most and text.isprintable():  # nearly every name, told at once
        return text
    line = " ".join(visible(text).split("\n")).replace("\t", " ")
    return line if len(line) <= most else line[: most - 1] + "\u2026"


def for_markdown(text: object, most: int | None = None) -> str:
    """Text within Streamlit's Markdown: no markup, LaTeX, HTML, emoji codes or pictures in it."""
    shown = visible(text) if most is None else one_line(text, most)
    shown = _REPLACED.sub(_JOINER, shown)
    return _MARKDOWN.sub(lambda match: re.sub(r"(\W|_)$", r"\\\1", match[0]), shown)


def as_code(text: object) -> str:
    """Text as code within Markdown, such as a path: fenced by more backticks than it has."""
    shown = " ".join(visible(text).split("\n"))
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    return f"{fence}{shown}{fence}" if len(fence) == 1 else f"{fence} {shown} {fence}"


def for_plotly(text: object, most: int = LONGEST) -> str:
    """Text within names, titles and hover templates of a figure: no tags, places or LaTeX."""
    shown = html.escape(one_line(text, most), quote=False)
    return shown.replace("%{", "%&#123;").replace("$", "&#36;")


def for_html(text: object) -> str:
    """Text within HTML, in an element or in a quoted attribute."""
    return html.escape(visible(text))


_PATH = re.compile(r"(?<![\w.])(?:[A-Za-z]:)?[/\\](?:[^\s'\"]*[/\\])+([^\s'\"]*)")
"""An absolute path, on any system; its last part is a group."""


def without_paths(text: str) -> str:
    """A command or a sentence without the places of one machine: who reads it has others."""
    return _PATH.sub(r"\1", text)


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV for people: no cell of text is a formula where a spreadsheet opens it.

    A text that begins like a formula gets an apostrophe before it, which spreadsheets take for
    "this is text"; so does what follows a semicolon or a tab, where some begin another cell.
    Numbers stay as they are.
    """
    safe = table.rename(columns=_defused)
    for name in safe.select_dtypes(exclude="number"):
        safe[name] = safe[name].map(_defused)
    return safe.to_csv(index=False, lineterminator="\n")


def _defused(value: object) -> object:
    return _FORMULA.sub(r"\1'", value) if isinstance(value, str) else value


def listed(names: Iterable[object], most: int = 8) -> str:
    """Names in a row, each one line; of many the first ones and how many more there are."""
    every = [one_line(name, 80) for name in names]
    rest = len(every) - most
    return ", ".join(every[:most]) + (f", ... ({rest})" if rest > 0 else "")
