"""Choosing runs, and which one stands out. Knows runs, not what is drawn of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import streamlit as st

from analysis.evidence.presets import first_choice, presets, titles
from analysis.figures import seeds
from analysis.runs import Comparable, Run, names
from analysis.runs.names import find_named
from analysis.text import _
from pages.common import cached
from pages.common.state import URL

Entry = TypeVar("Entry", Run, Comparable)

_SELECTION = "selection"
"""In the session: ids of the runs chosen last, which go with the user from page to page."""


def run_names(runs: Sequence[Comparable]) -> dict[str, str]:
    """As `names.run_names`, kept."""
    return cached.made(names.run_names, runs)


def pick_runs(
    runs: Sequence[Entry], key: str, first: Sequence[Entry] = (), one_seed: bool = False
) -> list[Entry]:
    """Any number of runs, in the order picked.

    At first those chosen on the page before; else `first`, or what `first_choice` has.

    Args:
        runs: what there is.
        key: of the control.
        first: to begin with.
        one_seed: of those chosen before only one run of each net, where each takes much room.
    """
    names = run_names(runs)
    by_id = {run.id: run for run in runs}
    renew_link(runs, key)
    carried = [run_id for run_id in st.session_state.get(_SELECTION, ()) if run_id in by_id]
    if one_seed:
        carried = [group[0].id for group in seeds.groups([by_id[run_id] for run_id in carried])]
    if carried and key not in st.session_state and key not in st.query_params:
        st.session_state[key] = carried  # not as the default: the address has to name them
    _note_missing(key, set(names.values()))
    usual = list(first) or usual_runs(runs) or runs[-1:]
    chosen = st.multiselect(
        _("Runs"),
        list(by_id),
        default=[run.id for run in usual],
        format_func=lambda run_id: names.get(run_id, run_id),
        key=key,
        bind=URL,
        wrap=True,
        select_all=False,
        filter_mode="contains",
        on_change=_forget_missing,
        args=(key,),
        placeholder=_("Choose any number of runs"),
        help=_("Bundled runs and your own. The first run is the reference."),
    )
    _say_missing(key)
    st.session_state[_SELECTION] = chosen
    return [by_id[run_id] for run_id in chosen if run_id in by_id]


def usual_runs(runs: Sequence[Comparable]) -> list[Run]:
    """As `first_choice`, kept."""
    return cached.made(first_choice, [run for run in runs if isinstance(run, Run)])


def count_chosen(runs: Sequence[Comparable], key: str, usual: Sequence[Comparable]) -> int:
    """How many runs `pick_runs` will give, before it is drawn."""
    if key in st.session_state:
        return len(st.session_state[key])
    asked = find_named(st.query_params.get_all(key), runs)
    ids = {run.id for run in runs}
    carried = [run_id for run_id in st.session_state.get(_SELECTION, ()) if run_id in ids]
    return len(asked or carried or usual)


def renew_link(runs: Sequence[Comparable], key: str) -> None:
    """Where the address has names from elsewhere or of an earlier version: those of here instead.

    A name says no more than it has to, so it depends on what other runs there are.
    """
    asked = st.query_params.get_all(key)
    names = run_names(runs)
    if key in st.session_state or set(asked) <= set(names.values()):
        return
    meant = find_named(asked, runs)
    now = [names[meant[name]] if name in meant else name for name in asked]
    if now != asked:
        st.query_params[key] = now
        st.rerun()  # a control reads the address as it was when the run of the page began


def _note_missing(key: str, known: set[str]) -> None:
    """Keep the names in the address that no run here has, until the choice is changed."""
    absent = [name for name in st.query_params.get_all(key) if name not in known]
    if absent:
        st.session_state[f"{key}_missing"] = absent


def _forget_missing(key: str) -> None:
    st.session_state.pop(f"{key}_missing", None)


def _say_missing(key: str) -> None:
    absent = st.session_state.get(f"{key}_missing")
    if absent:
        words = _(
            "This link names runs that are not on this machine: {runs}. The others are shown."
        )
        st.session_state[f"{key}_said"] = words.format(runs=", ".join(absent))
    else:
        st.session_state.pop(f"{key}_said", None)


def missing_words(key: str) -> str:
    """What to say of the runs that the address names and nobody here has; empty: nothing."""
    return st.session_state.get(f"{key}_said", "")


def link_names(runs: Sequence[Comparable]) -> list[str]:
    """What a link calls runs: as the page that it opens does, which has all of them."""
    known = {run.id: run for run in [*cached.list_comparable()[0], *runs]}
    names = run_names(list(known.values()))
    return [names[run.id] for run in runs]


def pick_preset(runs: Sequence[Comparable], key: str) -> None:
    """Buttons that choose the runs of one of the paper's comparisons."""
    found = cached.made(presets, [run for run in runs if isinstance(run, Run)])
    now = st.session_state.get(key)
    for name, title in titles().items():
        if name in found:
            ids = [run.id for run in found[name]]
            st.button(
                title, key=f"{key}_{name}", on_click=_choose, args=(key, ids),
                type="primary" if now is not None and set(now) == set(ids) else "secondary",
            )  # fmt: skip


def _choose(key: str, ids: list[str]) -> None:
    st.session_state[key] = ids
    _forget_missing(key)


def pick_highlight(runs: Sequence[Comparable], key: str, single: bool = True) -> str | None:
    """The id of the run that stands out in every figure, if any.

    Args:
        runs: those that are drawn.
        key: of the control.
        single: whether each run is a line of its own; else all seeds of a net are one.
    """
    styles = seeds.group_styles(runs) if not single else seeds.single_styles(runs)
    labels: Mapping[str, str] = {style.run: style.label for style in styles.values()}
    if len(labels) < 2:
        return None
    return st.selectbox(
        _("Highlight"),
        list(labels),
        index=None,
        format_func=lambda run_id: labels.get(run_id, run_id),
        key=key,
        bind=URL,
        placeholder=_("Highlight a net"),
        help=_("Shows one run in full and fades the others, in every figure."),
        label_visibility="collapsed",
        width=190,
    )
