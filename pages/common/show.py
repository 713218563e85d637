"""Figures and tables on a page, each with its downloads: PNG, SVG, CSV.

A picture is made by the plotly.js that Streamlit has already loaded in the reader's browser, so it
needs no network and nothing installed. It is the figure in the `print` template (white, dark ink)
whatever the page's theme is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from analysis.escape import csv_text, for_html, one_line
from analysis.figures import readings, theme
from analysis.text import _

_FILES = Path(__file__).with_name("assets")
_picture = st.components.v2.component(
    "residual_lens_picture",
    html='<span class="row"></span>',
    css=(_FILES / "picture.css").read_text(encoding="utf-8"),
    js=(_FILES / "picture.js").read_text(encoding="utf-8"),
)

_link = st.components.v2.component(
    "residual_lens_link",
    html='<button type="button" hidden></button>',
    css=(_FILES / "link.css").read_text(encoding="utf-8"),
    js=(_FILES / "link.js").read_text(encoding="utf-8"),
)

_drawn = st.components.v2.component(
    "residual_lens_drawn",
    html="<span hidden></span>",
    js=(_FILES / "drawn.js").read_text(encoding="utf-8"),
)

WIDTH = 900
"""Of a downloaded picture, in CSS pixels; PNG has twice as many real ones."""


def mode() -> theme.Mode:
    """The page's theme, which its figures are drawn in."""
    return "dark" if st.context.theme.type == "dark" else "light"


def figure(
    drawn: go.Figure,
    table: pd.DataFrame,
    key: str,
    reading: str,
    said: str = "",
    conditions: str = "",
) -> None:
    """A figure, a sentence on how to read it, and its downloads.

    Args:
        drawn: any plotly figure.
        table: the numbers in it, for CSV.
        key: names the chart and the files.
        reading: what to look at, and where the paper does.
        said: a sentence above it, from its numbers.
        conditions: data and recipe, and who is not comparable: a line that is saved with it.
    """
    theme.sign(drawn, conditions)
    config = {
        "displaylogo": False,
        "modeBarButtonsToRemove": ["autoScale2d", "zoomIn2d", "zoomOut2d"],
        "toImageButtonOptions": {"filename": key, "scale": 2},
    }
    if said:
        with st.container(key=f"{key}_said"):
            st.markdown(said)
    chart(drawn, key, config=config, alt=theme.spoken(drawn, said))
    if not drawn.data:  # it says why there is nothing to see
        return
    st.caption(reading)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        _picture(
            key=f"{key}_picture",
            data={
                "chart": key,
                "width": WIDTH,
                "height": drawn.layout.height,
                "template": theme.TEMPLATES["print"].to_plotly_json(),
                "words": _("Save as"),
                "failed": _("Not possible in this browser: use the camera above the figure."),
            },
            width="content",
            height="content",
        )
        csv(table, key, "CSV")


def chart(drawn: go.Figure, key: str, **options: Any) -> Any:
    """A figure alone, in the page's colours: our own, so that its text has contrast."""
    return st.plotly_chart(
        drawn.update_layout(template=theme.TEMPLATES[mode()]), key=key, theme=None, **options
    )


def beside(
    figures: Mapping[str, go.Figure], tables: Sequence[pd.DataFrame], widths: Sequence[int] = (1, 1)
) -> None:
    """Figures beside each other by their keys, with their tables and how to read them."""
    for place, (key, drawn), shown in zip(
        st.columns(widths, gap="medium"), figures.items(), tables, strict=True
    ):
        with place:
            figure(drawn, shown, key, readings.reading(key))


def is_drawn(key: str) -> bool:
    """Whether the browser has drawn a figure; until then the page ends, and runs again after it.

    So the first figure does not wait for those below it. True where no browser is asked.
    """
    name = f"{key}_drawn"
    known = not st.context.headers or bool(st.session_state.get(name, {}).get("drawn"))
    _drawn(
        key=name,
        data={"chart": key, "drawn": known},
        default={"drawn": known},
        on_drawn_change=lambda: None,
        height="content",
    )
    return known


def copy_link(key: str) -> None:
    """A button that copies the address of the view."""
    words = {
        "button": _("Copy link"),
        "help": _("The address of this view: runs, axes and all"),
        "done": _("Copied"),
    }
    _link(key=key, data={"words": words}, width="content", height="content")


def table(shown: pd.DataFrame, key: str, reading: str) -> None:
    """A table, a sentence on how to read it, and its download."""
    st.dataframe(shown, hide_index=True, column_config=columns(shown), key=key)
    st.caption(reading)
    csv(shown, key, _("Save as CSV"))


def static_table(
    words: pd.DataFrame, colours: Sequence[str], whole: pd.DataFrame, key: str, reading: str
) -> None:
    """A small table of text, a row a run, over its downloads.

    It is HTML: `st.dataframe` loads 1.5 MB of scripts, which a page's first figure waits for.

    Args:
        words: text; the first column names the row, columns of numbers are set to the right.
        colours: of the line before each row's name.
        whole: the table to save as CSV.
        key: names the files.
        reading: what to look at.
    """
    words_table(words, colours)
    st.caption(reading)
    csv(whole, key, _("Save as CSV"))


def words_table(words: pd.DataFrame, colours: Sequence[str] = ()) -> None:
    """A small table of text alone; the first column names the row, after a line in its colour."""
    numbers = [_is_number(words[name]) for name in words]
    head = "".join(_cell("th", name, n) for name, n in zip(words, numbers, strict=True))
    rows = "".join(
        f"<tr style='--run: {escape(colour)}'>"
        + "".join(_cell("td", text, n) for text, n in zip(row, numbers, strict=True))
        + "</tr>"
        for colour, row in zip(
            colours or ["transparent"] * len(words), words.itertuples(index=False), strict=True
        )
    )
    st.html(
        f"{_TABLE_STYLE}<div tabindex='0' class='words{'' if colours else ' bare'}'>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


_TABLE_STYLE = f"<style>{(_FILES / 'table.css').read_text(encoding='utf-8')}</style>"


def _is_number(texts: pd.Series) -> bool:
    return bool(texts.str.fullmatch(r"[\d.]+( M)?( \([\d. ]+\D+[\d.]+\))?|\u2013").all())


def _cell(tag: str, text: str, number: bool) -> str:
    return f"<{tag}{' class=number' if number else ''}>{for_html(one_line(text))}</{tag}>"


def columns(shown: pd.DataFrame) -> dict[str, Any]:
    """Errors and responses to two or three places, counts as 36,864."""
    config: dict[str, Any] = {}
    for name in shown.select_dtypes("number"):
        places = "%.2f" if "%" in name or "million" in name else "%.3f"
        style = places if shown[name].dtype.kind == "f" else "localized"
        config[name] = st.column_config.NumberColumn(format=style)
    return config


def csv(table: pd.DataFrame, key: str, label: str) -> None:
    """Written only when asked for."""
    st.download_button(
        label,
        lambda: csv_text(table).encode(),
        file_name=f"{key}.csv",
        mime="text/csv",
        key=f"{key}_csv",
        on_click="ignore",
        type="tertiary",
    )
