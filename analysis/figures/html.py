"""Figures, tables and where runs come from, as pieces of HTML: of the report and of the site.

Nothing here asks another host: plotly's script is packed into the page, or a file beside it.
"""

from __future__ import annotations

import base64
import gzip
import re
from functools import cache

import pandas as pd
import plotly.graph_objects as go
from markdown_it import MarkdownIt
from plotly.offline import get_plotlyjs

from analysis import formats
from analysis.commands import quoted, split_anywhere
from analysis.escape import for_html, visible
from analysis.evidence.caveats import caveats
from analysis.figures import theme
from analysis.runs import Comparable, SavedRecording
from analysis.text import _


def figure(drawn: go.Figure, alt: str = "", mode: theme.Mode | None = "print") -> str:
    """A place for a figure and its JSON; `DRAW` draws it.

    Args:
        drawn: any figure.
        alt: what it shows, for who can't see it.
        mode: its template; None where the page has all of them (`templates`).
    """
    styled = theme.restyle(drawn, mode) if mode else go.Figure(drawn)
    if not mode:
        styled.layout.template = None
    text = (styled.to_json() or "").replace("</", "<\\/")
    named = f' role="group" aria-label="{for_html(alt)}"' if alt else ""
    height = f' style="min-height:{drawn.layout.height:.0f}px"' if drawn.layout.height else ""
    return (
        f'<div class="plotly-graph-div"{named}{height}></div>'
        f'<script type="application/json" class="figure">{text}</script>'
    )


@cache
def packed_plotly() -> str:
    """Plotly's script, compressed: 2 MB in place of 5."""
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


DRAW = """
(() => {
  const own = document.getElementById("plotly")
  const looks = window.templates
  const dark = matchMedia("(prefers-color-scheme: dark)")
  const drawn = new Set()
  let ready, folded = [], printing = false
  const unpack = async () => {
    const packed = atob(own ? own.textContent : window.packedPlotly)
    const bytes = Uint8Array.from(packed, c => c.charCodeAt(0))
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))
    ;(0, eval)(await new Response(stream).text())
  }
  const look = () => looks[printing ? "print" : dark.matches ? "dark" : "light"]
  const paint = div => {
    if (drawn.has(div)) return
    drawn.add(div)
    const { data, layout } = JSON.parse(div.nextElementSibling.textContent)
    if (looks) layout.template = look()
    Plotly.newPlot(div, data, layout, { responsive: true, displaylogo: false })
  }
  const draw = async div => { await (ready ??= unpack()); paint(div) }
  const places = [...document.querySelectorAll("div.plotly-graph-div")]
  if (!looks) return places.forEach(draw)
  const near = new IntersectionObserver(
    found => found.filter(one => one.isIntersecting).forEach(one => {
      near.unobserve(one.target)
      draw(one.target)
    }), { rootMargin: "300px" })
  places.forEach(div => near.observe(div))
  const repaint = width => drawn.forEach(div =>
    Plotly.relayout(div, { template: look(), ...width }))
  dark.addEventListener("change", () => repaint({}))
  addEventListener("beforeprint", () => {
    printing = true
    if (window.Plotly) places.forEach(paint)
    folded = [...document.querySelectorAll(".claim details:not([open])")]
    folded.forEach(one => { one.open = true })
    repaint({ width: 680 })
  })
  addEventListener("afterprint", () => {
    printing = false
    folded.forEach(one => { one.open = false })
    repaint({ width: null, autosize: true })
  })
})()
"""
"""Unpacks plotly when the first figure is wanted.

In a page with templates figures are drawn as they are scrolled to, in the visitor's theme, and all
of them, in ink, before the page is printed.
"""


def table(words: pd.DataFrame) -> str:
    """A table of text, or of numbers as they are."""
    known = words.map(lambda value: visible(value) if isinstance(value, str) else value)
    text = known.to_html(index=False, border=0, na_rep=formats.NONE)
    return f'<div class="wide" tabindex="0">{text}</div>'


_WIDE_STOP = re.compile(r"[：。，；！？）](?=\*+\w)")
"""After one of these CommonMark takes asterisks before a letter for the beginning of an emphasis,
not its end; Chinese has no blank there, so one without width goes between."""
_MARKDOWN = MarkdownIt("commonmark", {"html": False})


def words(markdown: str) -> str:
    """One of our sentences: bold, italic, code; names in it are escaped as for Streamlit."""
    return _MARKDOWN.renderInline(_WIDE_STOP.sub("\\g<0>\u200b", markdown))


def origin(run: Comparable) -> list[str]:
    """Where a run comes from, as lines of text: its command, machine, caveats."""
    if isinstance(run, SavedRecording):
        about = (
            _("a recording of layer responses: no net, no history")
            if run.has_no_history
            else _("a recording of a training elsewhere: no net that could be built again")
        )
        return [run.id, about]
    machine = run.status.machine
    before = machine.get("earlier")
    machines = [_machine(one) for one in [*(before if isinstance(before, list) else []), machine]]
    where = _(", then ").join(dict.fromkeys(filter(None, machines)))
    facts = [run.id, without_places(run.config.command), where, *caveats(run)]
    return [fact for fact in facts if fact]


_NO_PATHS = ("--data-title", "--map", "--net", "--normalization", "--weights")
"""Options whose values may hold a slash and are no paths."""


def without_places(command: str) -> str:
    """A command without the places of the machine that it was given on: of a path the last part.

    Nothing of a line is left that can't be split (`split_anywhere`).
    """
    given, windows = split_anywhere(command)
    words: list[str] = []
    for word in given:
        option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if (option or "".join(words[-1:])) not in _NO_PATHS:
            folder = "folder:" if value.startswith("folder:") else ""
            path = value.removeprefix(folder).rstrip("/\\")
            value = folder + re.split(r"[/\\]", path)[-1]
        words.append(f"{option}{equals}{value}")
    return quoted(words, windows)


def _machine(known: object) -> str:
    """`NVIDIA H200, Intel Xeon (16 cores), Linux x86_64`, of what is known of it."""
    if not isinstance(known, dict):
        return ""
    cores = _("({cores} cores)").format(cores=known["cores"]) if known.get("cores") else ""
    cpu = " ".join(str(part) for part in (known.get("cpu"), cores) if part)
    return ", ".join(str(part) for part in (known.get("gpu"), cpu, known.get("system")) if part)
