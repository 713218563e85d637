"""Runs: one table of all, to find, name, tag and choose them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from analysis import formats
from analysis.errors import LensError
from analysis.evidence import catalog
from analysis.figures.report import report
from analysis.runs import Run, default_folder, delete_run
from analysis.runs.labels import change_labels, change_tags, labels_of
from analysis.text import _
from pages.common import cached, messages, pickers, show, state

_HERE = Path(__file__).parent
_PAGES = {
    "compare": (_HERE / "compare.py", "compare_arrows"),
    "image": (_HERE.parent / "lens" / "image.py", "image_search"),
    "refinements": (_HERE / "refinements.py", "tune"),
}


def found(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that the search and the rule leave."""
    with state.row():
        text = st.text_input(
            _("Search"), key="runs_search", bind=state.URL, placeholder="resnet-56 lr 0.05",
            help=_("Words of any column: net, data, recipe, date, tag, note."), width=320,
        )  # fmt: skip
        rule = st.text_input(
            _("Rule"), key="runs_rule", bind=state.URL, width=420,
            placeholder="test_error < 20 and kind = residual",
            help=_("Columns: {columns}. Signs: = != < <= > >= and ~ for “contains”.").format(
                columns=", ".join(catalog.COLUMNS)
            ),
        )  # fmt: skip
    try:
        return catalog.search(catalog.where(table, rule) if rule else table, text)
    except LensError as error:
        st.error(messages.literal(str(error)))
        return table


def choose(table: pd.DataFrame, shown: pd.DataFrame) -> list[str]:
    """Ids of the rows that are ticked."""
    key = f"runs_table_{hash(tuple(table['run']))}"  # other rows: other ticks
    event = st.dataframe(
        shown, hide_index=True, on_select="rerun", selection_mode="multi-row", key=key,
        column_config=show.columns(shown) | wide_enough(shown),
        height=min(38 + 35 * max(len(shown), 1), 420), placeholder=formats.NONE,
    )  # fmt: skip
    rows = event["selection"]["rows"]
    return [table["run"].iloc[row] for row in rows if row < len(table)]


def wide_enough(shown: pd.DataFrame) -> dict[str, Any]:
    """Columns of words as wide as these: what is cut can't be told apart.

    On a phone the first ones stay when the others are moved; elsewhere not, as what stays is pale.
    """
    phone = "Mobi" in (st.context.headers.get("User-Agent") or "")
    texts = shown.select_dtypes(exclude="number")
    letters = {
        name: max(int(texts[name].astype(str).str.len().max()), len(str(name))) for name in texts
    }
    return {
        name: st.column_config.TextColumn(
            width=min(round(24 + 7.2 * count), 300), pinned=phone and name in (_("Name"), _("Net"))
        )
        for name, count in letters.items()
    }


def act(runs: Sequence[Run], names: dict[str, str]) -> None:
    """What can be done with the ticked runs."""
    words = {"compare": _("Compare"), "image": _("Inspect"), "refinements": _("Small refinements")}
    with state.row():
        for page, (file, icon) in _PAGES.items():
            if file.exists():
                st.page_link(
                    file, label=words[page], icon=f":material/{icon}:",
                    query_params={f"{page}_runs": [names[run.id] for run in runs]},
                )  # fmt: skip
        st.download_button(
            _("Report (HTML)"), lambda: report(runs).encode(), file_name="compare.html",
            mime="text/html", on_click="ignore", icon=":material/description:", key="runs_report",
        )  # fmt: skip
        own = [run for run in runs if not run.bundled]
        if own:
            with st.popover(_("Delete"), icon=":material/delete:"):
                named = ", ".join(messages.literal(names[run.id]) for run in own)
                st.markdown(_("Delete for good: {runs}").format(runs=named))
                st.button(_("Yes, delete"), key="runs_delete", on_click=_delete, args=(own,))


def edit(runs: Sequence[Run]) -> None:
    """Name and note of one run, tags of any."""
    labels = [labels_of(run) for run in runs]
    shared = [tag for tag in labels[0].tags if all(tag in other.tags for other in labels)]
    with st.form(f"runs_labels_{'_'.join(run.id for run in runs)}", border=True), state.row():
        name = st.text_input(_("Name"), labels[0].name) if len(runs) == 1 else None
        tags = st.text_input(_("Tags, separated by spaces"), " ".join(shared))
        note = st.text_input(_("Note"), labels[0].note) if len(runs) == 1 else None
        pressed = st.form_submit_button(_("Save"), icon=":material/save:")
    if not pressed:
        return
    try:
        for run in runs:
            change_tags(run, tags.split(), set(shared) - set(tags.split()))
            if name is not None:
                change_labels(run, name=name.strip(), note=(note or "").strip())
    except LensError as error:
        st.error(messages.literal(str(error)))
    else:
        st.rerun()


def _delete(runs: Sequence[Run]) -> None:
    for run in runs:
        try:
            delete_run(run, default_folder())
        except LensError as error:
            st.session_state.setdefault("runs_said", []).append(str(error))


st.title(_("Runs"))
everything, damaged = cached.list_runs()
messages.stop_without_runs(everything, damaged)
for said in st.session_state.pop("runs_said", []):
    st.error(messages.literal(said))
whole = cached.made(cached.catalog_of, everything)
kept = found(whole)
st.caption(_("{count} of {total} runs").format(count=len(kept), total=len(whole)))
if kept.empty:
    st.info(_("No run is like this."))
else:
    by_id = {run.id: run for run in everything}
    shown = catalog.catalog_table(kept)
    ticked = [by_id[run_id] for run_id in choose(kept, shown)]
    show.csv(shown, "runs", _("Save as CSV"))
    if ticked:
        act(ticked, pickers.run_names(everything))
        edit(ticked)
        messages.name_caveats(ticked)
    else:
        st.caption(_("Tick runs on the left to compare, inspect, name, tag or delete them."))
messages.list_damaged(damaged)
