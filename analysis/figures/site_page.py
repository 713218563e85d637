"""A page of the static site: pieces of HTML in order, and the frame around them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import plotly.graph_objects as go

from analysis import figures
from analysis.escape import for_html
from analysis.figures import html, readings, theme
from analysis.runs import Comparable
from analysis.runs.format import now
from analysis.text import LANGUAGES, _

FOLDERS = {"en": "", "zh_CN": "zh"}
"""Where the pages of a language lie in the site."""
_DRAWING = ["kind", "variant", "label"]
"""Columns that say how a net is drawn, left out of the site's tables: run and net say as much."""
MARK = '<meta name="generator" content="Residual Lens">'


_TABLE = re.compile(r'href="(?:\.\./)?(data/[\w-]+\.csv)" download')
"""A page's link to a table, as `Page.behind` writes it."""


def tables_in(page: str) -> list[str]:
    """The tables of a page that was written before, from the site's folder; none of others'."""
    return _TABLE.findall(page) if MARK in page[:1000] else []


def place(code: str, name: str) -> str:
    """The file of a page, from the site's folder."""
    return f"{FOLDERS[code]}/{name}.html".lstrip("/")


@dataclass
class Page:
    """One page while it is written: its HTML, and the tables behind its figures."""

    code: str
    """Of its language."""
    parts: list[str] = field(default_factory=list)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def up(self) -> str:
        """From the page's folder to the site's."""
        return "../" if FOLDERS[self.code] else ""

    def heading(self, text: str) -> None:
        """Of a part of the page."""
        self.parts.append(f"<h2>{for_html(text)}</h2>")

    def words(self, *markdown: str) -> None:
        """Sentences, a paragraph each."""
        self.parts += [f"<p>{html.words(text)}</p>" for text in markdown if text]

    def bullets(self, lines: Sequence[str]) -> None:
        """Sentences in a list; names in them are escaped."""
        items = "".join(f"<li>{html.words(line)}</li>" for line in lines if line)
        self.parts += [f"<ul>{items}</ul>"] if items else []

    def figure(
        self, key: str, drawn: go.Figure, info: pd.DataFrame, runs: Sequence[Comparable],
        said: str = "", name: str = "", reading: str = "",
    ) -> None:  # fmt: skip
        """A figure between what its numbers say and how to read it, over its data and commands.

        Args:
            key: of its words; `name` of its file, where a page has several of the kind.
            drawn: the figure.
            info: the numbers in it.
            runs: those that it is of.
            said: a sentence above it, from its numbers.
            name: the file's.
            reading: in place of the words for `key`.
        """
        theme.sign(drawn, figures.conditions(runs))
        alt = theme.spoken(drawn, said)
        reading = reading or readings.reading(key)
        self.parts.append(
            (f'<p class="said">{html.words(said)}</p>' if said else "")
            + f"<figure>{html.figure(drawn, alt, mode=None)}"
            f"<figcaption>{html.words(reading)}</figcaption></figure>"
            f"{self.behind(name or key, info, runs)}"
        )

    def behind(self, name: str, info: pd.DataFrame, runs: Sequence[Comparable]) -> str:
        """What stands under a figure, folded away: its numbers as a file, and its runs' commands.

        Args:
            name: the file's.
            info: the numbers, of which a file is made.
            runs: those that it is of.
        """
        self.tables[name] = info.drop(columns=_DRAWING, errors="ignore")
        return (
            f'<details class="behind"><summary>{_("Data and commands")}</summary>'
            f'<p><a href="{self.up}data/{name}.csv" download>{for_html(name)}.csv</a></p>'
            f"<ul>{''.join(map(_origin, runs))}</ul></details>"
        )

    def whole(self, name: str, title: str, titles: Mapping[str, str]) -> str:
        """The page's file.

        Args:
            name: of its file, without .html.
            title: its heading.
            titles: of all pages by name, for the navigation.
        """
        here = ' aria-current="page"'
        pages = "".join(
            f'<a href="{other}.html"{here if other == name else ""}>{for_html(words)}</a>'
            for other, words in titles.items()
        )
        tongues = "".join(
            f'<a href="{self.up}{place(code, name)}" lang="{code.replace("_", "-")}"'
            f"{here if code == self.code else ''}>{words}</a>"
            for code, words in LANGUAGES.items()
        )
        made = _(
            "Made with Residual Lens, {date}. Figures need JavaScript; nothing is loaded from "
            "elsewhere."
        )
        paper = _(
            "He, Zhang, Ren and Sun, *Deep Residual Learning for Image Recognition*, CVPR 2016."
        )
        tongue = self.code.replace("_", "-")
        return (
            f'<!doctype html><html lang="{tongue}"><head><meta charset="utf-8">'
            f'{MARK}<meta name="viewport" content="width=device-width">'
            '<meta name="color-scheme" content="light dark">'
            f"<title>{for_html(title)} · Residual Lens</title>"
            '<link rel="icon" href="data:,">'
            f'<link rel="stylesheet" href="{self.up}assets/site.css">'
            f'</head><body><header><nav aria-label="{_("Pages")}">{pages}</nav>'
            f'<nav class="tongues" aria-label="Language · 语言">{tongues}</nav></header><main>'
            f"<h1>{for_html(title)}</h1>{chr(10).join(self.parts)}</main>"
            f"<footer><p>{html.words(paper)}</p><p>{for_html(made.format(date=now()[:10]))}</p></footer>"
            f'<script src="{self.up}assets/plotly.js"></script>'
            f'<script src="{self.up}assets/site.js"></script></body></html>\n'
        )


STYLE = """
:root { color-scheme: light dark; --ink: #2f2d2b; --page: #ffffff; --line: #e4e2df; --soft: #66625d;
  --card: #faf9f7; --link: #0169ab; --holds: #1a7f37; --fails: #c3302b; --undecided: #9a5b00 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #edebe8; --page: #171614; --line: #3a3733; --soft: #aca79f; --card: #1f1d1b;
    --link: #5cb3f2; --holds: #4cc26a; --fails: #ff8a80; --undecided: #e3a448 }
}
* { box-sizing: border-box }
body { font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial,
  'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif; color: var(--ink);
  background: var(--page); margin: 0 }
header, main, footer { max-width: 1100px; margin: 0 auto; padding: 0 1rem }
header { display: flex; flex-wrap: wrap; gap: .2rem 2rem; justify-content: space-between;
  padding-top: .8rem; padding-bottom: .6rem; border-bottom: 1px solid var(--line) }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem }
a { color: var(--link) } nav a { text-decoration: none; padding: .2rem 0 }
nav a[aria-current] { color: var(--ink); font-weight: 600; border-bottom: 2px solid var(--link) }
h1 { font-size: 1.8rem; margin: 1.2rem 0 .6rem } h2 { font-size: 1.35rem; margin: 2.2rem 0 .6rem }
h3 { font-size: 1rem; margin: .2rem 0 .5rem }
.said { font-weight: 600; margin: 1.4rem 0 .4rem }
figure { margin: .4rem 0 } figcaption, footer { color: var(--soft); font-size: .9rem }
table { border-collapse: collapse; font-size: .85rem } .wide { overflow-x: auto; margin: .6rem 0 }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: right;
  white-space: nowrap }
th { white-space: normal; vertical-align: bottom }
th:first-child, td:first-child { text-align: left }
details { margin: .4rem 0 1.4rem; font-size: .85rem }
summary { cursor: pointer; color: var(--link) }
code { font: .95em ui-monospace, 'SF Mono', Menlo, Consolas, monospace; overflow-wrap: anywhere }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr));
  gap: .8rem }
.claim { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .7rem .9rem; min-width: 0 }
.claim details { margin-bottom: 0 } .claim ul { padding-left: 1.1rem }
.verdict { margin: 0; font-weight: 600; color: var(--soft) }
.holds .verdict { color: var(--holds) } .fails .verdict { color: var(--fails) }
.undecided .verdict, .disputed .verdict { color: var(--undecided) }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-bottom: 2rem }
@media print {
  :root { color-scheme: light; --ink: #1a1a1a; --page: #fff; --line: #ccc; --soft: #444;
    --card: #fff; --link: #1a1a1a; --holds: #1a7f37; --fails: #c3302b; --undecided: #9a5b00 }
  @page { margin: 14mm } body { font-size: 11pt }
  header, summary, .modebar, .behind { display: none }
  header, main, footer { max-width: none; padding: 0 }
  figure, .claim, tr { break-inside: avoid } h2, h3, .said { break-after: avoid }
  .cards { display: block } .claim { margin-bottom: .6rem } .wide { overflow: visible }
  table { font-size: 7.5pt } th, td { white-space: normal; padding: .15rem .3rem }
}
"""


def _origin(run: Comparable) -> str:
    """A run in a figure's list: its name, data, recipe, and how it was made."""
    name, *facts = html.origin(run)
    about = ", ".join(part for part in (run.data_title, run.recipe) if part)
    first = f"<code>{for_html(facts[0])}</code>" if facts else ""
    rest = "".join(f"<br>{for_html(fact)}" for fact in facts[1:])
    return f"<li><b>{for_html(name)}</b> ({for_html(about)})<br>{first}{rest}</li>"
