"""How figures look: one colour a net on every page, one template, and figures that say why not.

Plain nets are warm, residual nets cool, pre-activation ones green; within a palette lightness runs
with depth, and markers have a shape for each depth. The pairs that are compared most (equal depth)
stay apart for deuteranopes, protanopes and tritanopes, and every colour has a contrast of 3 to
white and to the dark page, so that one palette serves both. All colours that are not a net's live
in the template: a page, a report and a printed figure differ by their template only.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import unescape
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.escape import for_plotly
from analysis.runs import Comparable, Run, SavedRecording
from analysis.runs.labels import labels_of
from analysis.runs.names import run_names
from analysis.specs import KINDS, Kind, NetSpec
from analysis.text import _

Mode = Literal["light", "dark", "print"]

DEPTHS = (20, 32, 34, 44, 56, 110)
"""A net's shade is that of the first of these that is not below its depth; deeper: the last."""

PALETTES: dict[str, tuple[str, ...]] = {
    "warm": ("#c28800", "#c08751", "#cd6e88", "#e813b9", "#8c6348", "#a93b7a", "#935704"),
    "cool": ("#0ba493", "#27a1b9", "#0187df", "#3775fa", "#0873a7", "#4547fe", "#1f6f78"),
    "green": ("#789b57", "#73988f", "#7da000", "#638260", "#597e09", "#626c34", "#3f716a"),
}
"""Lighter for shallow nets, darker for deep ones; from a search for the largest least Delta E in
a palette: 15 and more in normal, deuteranopic and protanopic sight, as the test computes; and of
the greens from the others at the same depth 20."""
COLOURS: dict[Kind, tuple[str, ...]] = {
    kind: PALETTES[info.palette] for kind, info in KINDS.items()
}
_MARKERS = {"open": "-open", "filled": "", "dotted": "-open-dot"}
RECORDED = "#7d848c"
"""Of modules that are no nets of ours; dashes tell them apart."""
SYMBOLS = ("circle", "triangle-up", "square", "diamond", "star", "triangle-down", "hexagon")
"""By shade, like the colour; how they are filled goes by kind (plain: open, residual: filled)."""

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""Of runs whose nets have the same colour: the first is solid, the next dashed."""

FADED = 0.25
"""Opacity of what is not highlighted."""

_INK = {  # page: what lies under a transparent figure; veil: under words that lines may cross
    "light": {
        "text": "#2f2d2b",
        "grid": "#e4e2df",
        "axis": "#8a857f",
        "paper": "rgba(0,0,0,0)",
        "veil": "rgba(255,255,255,0.75)",
        "page": "#ffffff",
    },
    "dark": {
        "text": "#edebe8",
        "grid": "#3a3733",
        "axis": "#8f8a83",
        "paper": "rgba(0,0,0,0)",
        "veil": "rgba(23,22,20,0.75)",
        "page": "#171614",
    },
    "print": {
        "text": "#1a1a1a",
        "grid": "#e4e4e4",
        "axis": "#444444",
        "paper": "#ffffff",
        "veil": "rgba(255,255,255,0.75)",
        "page": "#ffffff",
    },
}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


@dataclass(frozen=True)
class RunStyle:
    """How one run is named and drawn, the same in every figure of a comparison."""

    run: str
    """The run's id."""
    net: str
    """The net's short name."""
    kind: Kind | Literal["other"]
    label: str
    """In legends: the net, and what tells it from others of the same net."""
    variant: int
    """0 for the first run of its colour, then 1, 2, ...: the dash."""

    @property
    def colour(self) -> str:
        """The net's, as `#rrggbb`."""
        return RECORDED if self.kind == "other" else net_colour(self.net)

    @property
    def dash(self) -> str:
        """The run's line."""
        return DASHES[self.variant % len(DASHES)]

    @property
    def symbol(self) -> str:
        """The net's marker."""
        if self.kind == "other":
            return "x"
        return SYMBOLS[_shade(NetSpec.parse(self.net))] + _MARKERS[KINDS[self.kind].marker]

    @property
    def place(self) -> tuple[int, int]:
        """In legends: by kind, each by depth; recorded modules last."""
        if self.kind == "other":
            return len(KINDS), 0
        return list(KINDS).index(self.kind), NetSpec.parse(self.net).depth

    @property
    def has_shortcuts(self) -> bool:
        """Whether it is a net of ours with shortcuts."""
        return self.kind != "other" and KINDS[self.kind].has_shortcuts


def net_colour(net: str) -> str:
    """The colour of a net by its short name, the same everywhere."""
    spec = NetSpec.parse(net)
    return COLOURS[spec.kind][_shade(spec)]


def kind_colour(kind: Kind) -> str:
    """Of all nets of a kind together: that of its 34-layer net."""
    return COLOURS[kind][DEPTHS.index(34)]


def kind_symbol(kind: Kind) -> str:
    """The marker of all nets of a kind together."""
    return "circle" + _MARKERS[KINDS[kind].marker]


def kind_title(kind: Kind) -> str:
    """What nets of a kind are called at the end of a line."""
    return str(KINDS[kind].title)


def _shade(spec: NetSpec) -> int:
    return sum(spec.depth > depth for depth in DEPTHS)


def run_styles(runs: Sequence[Comparable]) -> list[RunStyle]:
    """A style for each run, in the order given; which run of a net is dashed goes by id."""
    labels = _labels(runs)
    seen: dict[str, int] = {}
    variants = {}
    for run in sorted(runs, key=lambda run: run.id):
        colour = RECORDED if run.kind == "other" else net_colour(run.net)
        variants[run.id] = seen.get(colour, 0)
        seen[colour] = variants[run.id] + 1
    return [RunStyle(run.id, run.net, run.kind, labels[run.id], variants[run.id]) for run in runs]


def _labels(runs: Sequence[Comparable]) -> dict[str, str]:
    """The run's own name; else the net's, with recipe, data, seed and whatever tells runs apart."""
    labels, of_net = {}, {}
    for run in runs:
        of_net.setdefault(run.net, []).append(run)
    told = {net: [words for words in (_recipe, _data, _seed) if len(set(map(words, same))) > 1]
            for net, same in of_net.items()}  # fmt: skip
    for run in runs:
        if isinstance(run, Run) and (name := labels_of(run).name):
            labels[run.id] = name
            continue
        parts = [run.net, *(words(run) for words in told[run.net])]
        labels[run.id] = ", ".join(part for part in parts if part)
    taken = Counter(labels.values())
    alike = [run for run in runs if taken[labels[run.id]] > 1]
    return labels | run_names(alike)  # which say what differs


def _recipe(run: Comparable) -> str:
    return run.recipe


def _data(run: Comparable) -> str:
    return run.data_title


def _seed(run: Comparable) -> str:
    return "" if isinstance(run, SavedRecording) else _("seed {seed}").format(seed=run.config.seed)


STYLE_COLUMNS = ("run", "net", "kind", "label", "variant")
"""Of every info table, first: how each run is drawn, which `styles_of` reads back."""


def stack(
    parts: Sequence[tuple[RunStyle, Mapping[str, Any]]], columns: Sequence[str]
) -> pd.DataFrame:
    """One info table from the columns of each run; no rows and all columns where there are none.

    Built from arrays at once: a frame a run costs ten times as much.
    """
    everything = [*STYLE_COLUMNS, *columns]
    parts = [(style, values) for style, values in parts if len(values[columns[0]])]
    if not parts:
        return pd.DataFrame(columns=everything)
    counts = [len(values[columns[0]]) for _style, values in parts]
    table = {
        name: np.repeat([getattr(style, name) for style, _values in parts], counts)
        for name in STYLE_COLUMNS
    }
    for name in columns:
        table[name] = np.concatenate([np.asarray(values[name]) for _style, values in parts])
    return pd.DataFrame(table, columns=everything)


def styles_of(info: pd.DataFrame) -> list[RunStyle]:
    """The styles in an info table, in the legend's order; their labels as plotly's text."""
    return [replace(style, label=for_plotly(style.label)) for style in named_styles(info)]


def named_styles(info: pd.DataFrame) -> list[RunStyle]:
    """As `styles_of`, with the labels as typed: for sentences, which may go anywhere."""
    rows = info.drop_duplicates("run")[list(STYLE_COLUMNS)]
    styles = [RunStyle(*row) for row in rows.itertuples(index=False)]
    return sorted(styles, key=lambda style: style.place)


class Look(NamedTuple):
    """One run of an info table and how to draw it."""

    style: RunStyle
    rows: pd.DataFrame
    """Its rows of the table."""
    shared: dict[str, Any]
    """What all of its traces have in common."""


def looks(info: pd.DataFrame, highlight: str | None) -> list[Look]:
    """The runs of an info table in drawing order.

    Other runs fade where one is highlighted, and that one is drawn last, so on top; its place in
    the legend stays.
    """
    rows = dict(iter(info.groupby("run", sort=False)))
    drawn = []
    for rank, style in enumerate(styles_of(info), start=1):
        shared = {
            "legendgroup": style.run,
            "legendrank": rank,
            "opacity": 1.0 if highlight in (None, style.run) else FADED,
        }
        drawn.append(Look(style, rows[style.run], shared))
    return sorted(drawn, key=lambda look: look.style.run == highlight)


def template(mode: Mode) -> go.layout.Template:
    """Everything about a figure that is not data: ink, grid, fonts, hover.

    Args:
        mode: `light` and `dark` are transparent, for pages; `print` is white, for files.
    """
    ink = _INK[mode]
    axis = {
        "gridcolor": ink["grid"],
        "linecolor": ink["axis"],
        "tickcolor": ink["axis"],
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
        "zeroline": False,
        "automargin": True,
    }
    return go.layout.Template(
        layout={
            "font": {"family": _FONT, "size": 13, "color": ink["text"]},
            "title": {"x": 0, "xanchor": "left", "font": {"size": 16, "weight": 600}},
            "modebar": {
                "bgcolor": "rgba(0,0,0,0)",
                "color": ink["axis"],
                "activecolor": ink["text"],
            },
            "paper_bgcolor": ink["paper"],
            "plot_bgcolor": ink["paper"],
            "xaxis": {**axis, "showgrid": False},
            "yaxis": axis,
            "hoverlabel": {
                "bgcolor": "#26241f" if mode == "dark" else "#ffffff",
                "bordercolor": ink["axis"],
                "font": {"color": ink["text"], "family": _FONT, "size": 12},
                "namelength": -1,
            },
            "annotationdefaults": {
                "font": {"size": 12},
                "showarrow": False,
                "bgcolor": ink["veil"],
            },
        }
    )


TEMPLATES: dict[Mode, go.layout.Template] = {
    "light": template("light"),
    "dark": template("dark"),
    "print": template("print"),
}


def restyle(figure: go.Figure, mode: Mode) -> go.Figure:
    """A copy of a figure in another template."""
    return go.Figure(figure).update_layout(template=TEMPLATES[mode])


def layout(
    title: str, subtitle: str, labels: Sequence[str], height: int = 440, **rest: Any
) -> dict[str, Any]:
    """What the layouts of all figures have in common: title on top, legend at the bottom.

    Args:
        title: what is drawn.
        subtitle: which line is which, under what conditions; `<br>` begins a second line.
        labels: what the legend will say, for the room that it needs.
        height: pixels, without the legend.
        rest: more of plotly's layout; wins over what is set here.
    """
    legend = _LEGEND_LINE * _legend_lines(labels) if labels else 0
    title, subtitle = wrapped(title, TITLE), wrapped(subtitle)
    more = 20 * title.count("<br>")  # which plotly sets above the title's place
    top = 64 + more + 16 * subtitle.count("<br>")
    return {
        "template": TEMPLATES["light"],
        "title": {"text": title, "subtitle": {"text": subtitle}, "y": 1, "yref": "container",
                  "yanchor": "top", "pad": {"t": 8 + more}},
        "height": height + legend,
        "margin": {"t": top, "r": 12, "b": 50 + legend, "l": 8, "pad": 0},
        "hovermode": "x",
        "hoverdistance": -1,
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "xref": "container",
                   "y": 0, "yanchor": "bottom", "yref": "container",
                   "tracegroupgap": 0, "itemdoubleclick": "toggleothers"},
        **rest,
    }  # fmt: skip


_SIGNATURE = 18
"""Pixels that a line of conditions takes under a figure."""
_SIGNED_LETTERS = 56
"""Of a line of conditions: what a phone has room for."""


def sign(figure: go.Figure, conditions: str) -> go.Figure:
    """The figure with a line under it that goes with it when it is saved: data, recipe, warnings.

    Args:
        figure: changed in place, and returned; one that is signed stays as it is.
        conditions: as `summary.conditions` words them; empty: nothing is added.
    """
    if not conditions or any(note.name == "conditions" for note in figure.layout.annotations):
        return figure
    conditions = wrapped(conditions, _SIGNED_LETTERS)
    room = _SIGNATURE * (1 + conditions.count("<br>")) + _SIGNATURE // 2
    below = figure.layout.margin.b or 0
    figure.update_layout(height=figure.layout.height + room, margin_b=below + room)
    if figure.layout.legend.yref == "container":
        figure.update_layout(legend_y=room / figure.layout.height)
    figure.add_annotation(
        text=conditions, name="conditions", xref="paper", yref="paper", x=0, y=0,
        yshift=-(below + room), xanchor="left", yanchor="bottom", align="left", font_size=11,
    )  # fmt: skip
    return figure


def spoken(figure: go.Figure, said: str = "") -> str:
    """What a figure shows, for who can't see it: its title and the sentence above it."""
    title = unescape((figure.layout.title.text or "").replace("<br>", " "))
    return f"{title} {said.replace('*', '')}".strip()


TITLE, SUBTITLE = 40, 60
"""Letters of a line of a title and of a subtitle: what a phone has room for."""


_ESCAPED = re.compile(r"&#?\w+;")


def wrapped(text: str, letters: int = SUBTITLE) -> str:
    """A text in lines that are no longer, joined by `<br>`; its own line breaks stay.

    Chinese characters are nearly twice as wide as letters; `&lt;` is one letter, and stays whole.
    """
    escaped = iter(_ESCAPED.findall(text))
    text = _ESCAPED.sub("\0", text)
    if sum(ord(letter) > 0x2E7F for letter in text) > len(text) // 4:
        letters = letters * 3 // 5
    lines = [textwrap.wrap(line, letters) or [""] for line in text.split("<br>")]
    joined = "<br>".join(line for parts in lines for line in parts)
    return re.sub("\0", lambda _match: next(escaped), joined)


def panel_head(text: str, place: str, align: Literal["left", "center"]) -> dict[str, Any]:
    """The heading above one panel of a figure; `place` is its axes' number, "" for the first."""
    return {
        "text": f"<b>{text}</b>",
        "xref": f"x{place} domain",
        "yref": f"y{place} domain",
        "x": 0.5 if align == "center" else 0,
        "y": 1,
        "xanchor": align,
        "yanchor": "bottom",
        "showarrow": False,
    }


_LEGEND_LINE = 22
"""Pixels."""


def _legend_lines(labels: Sequence[str], width: int = 300) -> int:
    """How many lines a legend takes on a narrow screen, at 7 pixels a letter and 50 an entry."""
    lines, used = 1, 0
    for label in labels:
        needed = 50 + 7 * len(label)
        if used and used + needed > width:
            lines, used = lines + 1, 0
        used += needed
    return lines


def empty_figure(reason: str, title: str = "", height: int = 260) -> go.Figure:
    """A figure with nothing in it but the reason, in words."""
    note = {"text": reason, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5,
            "showarrow": False, "font": {"size": 14}}  # fmt: skip
    hidden = {"visible": False}
    return go.Figure(
        layout=layout(title, "", [], height, annotations=[note], xaxis=hidden, yaxis=hidden)
    )
