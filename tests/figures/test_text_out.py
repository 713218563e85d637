"""Names are shown as typed, on every way out: `pytest tests/figures/test_text_out.py`."""

from __future__ import annotations

import html
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest

from analysis import escape, figures
from analysis.cli import terminal
from analysis.figures import report
from analysis.figures.curves import plot_error_curves
from analysis.runs import Run, load_run
from tests.tiny import write_run

HOSTILE = [
    "<b>bold</b>", "<img src=x onerror=alert(1)>", "%{y} and %{customdata}", "$x^2$", "*stars*",
    "_under_", "`code`", "[link](http://example.org)", "![](http://example.org/a.png)", "# head",
    "- list", "1. list", "> quote", "| a | b |", ":smile: :red[x]", "&lt;b&gt; &amp;", "~~gone~~",
    "=HYPERLINK(\"http://example.org\")", "+1", "-1", "@SUM(A1)", "\tcell", "a\x1b[31mred\x1b[0m",
    "nul\x00l", "left\u202eright", "line\nbreak", "x" * 10_000, "Müller 中 🔎", "half \udcfc", "'",
    '"', "\\", "</script><script>alert(1)</script>", "{place} {0} {run.__class__}", "[red]x[/red]",
    ":material/delete: :streamlit: :+1:", "see http://e.org, HTTPS://e.org, www.e.org, a.b@e.org",
    "a -> b <- c <-> d -- e >= f <= g ~= h", "--", "x;=cmd|' /C calc'!A0;-1", "\uff1d1+1",
]  # fmt: skip


def run_titled(folder: Path, title: str, run_id: str = "one") -> Run:
    run = load_run(write_run(folder, "resnet-8", run_id=run_id))
    assert run.config.data is not None
    data = replace(run.config.data)
    object.__setattr__(data, "title", title)  # as a file from elsewhere may say
    return Run(run.path, replace(run.config, data=data), run.status)


def texts_of(drawn: go.Figure) -> list[str]:
    """Every text of a figure that plotly reads as its small HTML."""
    found = []

    def walk(value: object) -> None:
        if isinstance(value, str):
            found.append(value)
        for part in value.values() if isinstance(value, dict) else value if isinstance(
            value, list | tuple) else ():  # fmt: skip
            walk(part)

    walk(json.loads(drawn.to_json()))
    return found


IN_FILES = [title for title in HOSTILE if "\udcfc" not in title]
"""A run's files hold no half surrogates: reading refuses them."""


@pytest.mark.parametrize("title", IN_FILES)
def test_figures_show_names_as_typed(tmp_path: Path, title: str):
    """No tag, place of a hover template or LaTeX of a title is left in legends and hovers."""
    runs = [run_titled(tmp_path, title), run_titled(tmp_path, "other", "two")]
    for drawn in (
        plot_error_curves(figures.error_curves_info(runs), without=[title]),
        figures.plot_responses(figures.responses_info(runs)),
    ):
        data = drawn.to_plotly_json()["data"]
        seen = [*(trace.get("name") or "" for trace in data),
                *(trace.get("hovertemplate") or "" for trace in data),
                drawn.layout.title.subtitle.text]  # fmt: skip
        shown = escape.for_plotly(title)
        assert any(shown[:200] in text for text in seen)
        for text in seen:
            without = text.replace(shown, "")
            assert "<img" not in without
            assert "<script" not in without
        assert not re.search(r"<(?!br>)|%\{|\$|[\x00-\x1f\u202e]", shown)
        assert html.unescape(shown) == escape.one_line(title)


@pytest.mark.parametrize("title", HOSTILE)
def test_markdown_shows_names_as_typed(title: str):
    """Each character that would be markup has a backslash; what is left has no picture, no tag."""
    shown = escape.for_markdown(title)
    bare = re.sub(r"\\[\\`*_\[\]$<>~&|#.)+=-]", "", shown)
    assert not re.search(r"[`*\[\]$<>~&|#]|\b_|_\b", bare)
    read = re.sub(r"\\([\\`*_\[\]$<>~&|#.)+=-])", r"\1", shown)  # what Streamlit replaces parts of
    assert not re.search(r":[\w/+-]+[:\[]|(?i:https?://|www\.)|[-.\w+]+@[-\w]+\.", read)
    assert not re.search(r"(?m)(^|\s)(<?->|<-|--|>=|<=|~=)(\s|$)", read)
    assert not re.search(r"(?m)^\s*([-+]\s|\d+[.)]\s)", shown)
    assert read.replace("\u2060", "") == escape.visible(title)


@pytest.mark.parametrize("title", HOSTILE)
def test_code_in_markdown_ends_where_it_should(title: str):
    """Its fence is longer than any in it."""
    shown = escape.as_code(title)
    fence = re.match("`+", shown)
    assert fence
    inside = shown[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in inside
    assert "\n" not in shown


@pytest.mark.parametrize("title", IN_FILES)
def test_the_report_shows_names_as_typed(tmp_path: Path, title: str):
    """No tag of a title becomes one."""
    run = run_titled(tmp_path, title)
    text = report.report([run, run_titled(tmp_path, "other", "two")])
    body = re.sub(r"(?s)<script.*?</script>", "", text)
    assert "<img src=x" not in body
    assert "alert(1)</script>" not in body
    assert "\x1b" not in body
    assert "\x00" not in body
    assert text.encode()


@pytest.mark.parametrize("title", HOSTILE)
def test_a_terminal_is_not_steered(title: str, monkeypatch: pytest.MonkeyPatch):
    """No escape code, mark of direction or NUL gets through, in any encoding; nothing is fatal."""
    for encoding in ("utf-8", "ascii", "latin-1", "cp1252", "gbk"):
        raw = io.BytesIO()
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding, newline="\n"))
        monkeypatch.setattr("sys.stderr", io.StringIO())
        terminal.guard()
        print(f"{escape.one_line(title)}  finished \u2192")
        print(title)
        terminal.console().print(escape.one_line(title), soft_wrap=True)
        print(end="", flush=True)
        said = raw.getvalue().decode(encoding)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", said)
        assert "\n" not in escape.one_line(title)
        assert len(escape.one_line(title)) <= escape.LONGEST
        if title.isascii() and title.isprintable() and len(title) < 200:
            assert said.count(title) == 3


@pytest.mark.parametrize("title", HOSTILE)
def test_csv_cells_are_no_formulas(title: str):
    """Text that begins as one has an apostrophe before it; numbers are as they were."""
    table = pd.DataFrame({"label": [title.replace("\udcfc", "")], "n": [-1.5], "=x": ["ok"]})
    read = pd.read_csv(io.StringIO(escape.csv_text(table)), keep_default_na=False)
    cell = read["label"].astype(str)[0]
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d"))
    assert not re.search(r"[;\t\r\n][=+@-]", cell)  # where some systems begin another cell
    assert read["n"][0] == -1.5
    assert "'=x" in read.columns


def test_errors_of_zero_on_a_log_axis_are_said(tmp_path: Path):
    """They have no place there."""
    info = figures.error_curves_info([load_run(write_run(tmp_path))])
    info.loc[info.index[-2:], "train_error"] = 0.0
    said = plot_error_curves(info, scale="log").layout.title.subtitle.text
    assert "Not drawn: 2 errors of 0 %, which a log axis has no place for." in said
    assert "Not drawn" not in plot_error_curves(info).layout.title.subtitle.text
    assert (
        "Not drawn"
        not in plot_error_curves(info, scale="log", smoothing=0.5).layout.title.subtitle.text
    )
