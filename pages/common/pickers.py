"""Choosing runs, and which one stands out. Knows runs, not what is drawn of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import streamlit as st

from analysis.figures import run_styles
from analysis.runs import Comparable, Run
from analysis.spec import KINDS
from analysis.text import _
from pages.common.state import URL

Entry = TypeVar("Entry", Run, Comparable)


def pick_runs(runs: Sequence[Entry], key: str) -> list[Entry]:
    """Any number of runs, in the order picked; at first the pair of `default_pair`."""
    names = run_names(runs)
    by_id = {run.id: run for run in runs}
    chosen = st.multiselect(
        _("Runs"),
        list(by_id),
        default=[r.id for r in default_pair([r for r in runs if isinstance(r, Run)]) or runs[-1:]],
        format_func=lambda run_id: names.get(run_id, run_id),
        key=key,
        bind=URL,
        wrap=True,
        placeholder=_("Choose any number of runs"),
        help=_("Bundled runs and your own. The first one is what the others are compared with."),
    )
    return [by_id[run_id] for run_id in chosen if run_id in by_id]


def pick_highlight(runs: Sequence[Comparable], key: str) -> str | None:
    """The id of the run that stands out in every figure, if any."""
    if len(runs) < 2:
        return None
    labels = {style.run: style.label for style in run_styles(runs)}
    return st.pills(
        _("Highlight"),
        list(labels),
        format_func=lambda run_id: labels.get(run_id, run_id),
        key=key,
        bind=URL,
        wrap=True,
        help=_("Shows one run in full and fades the others, in every figure."),
    )


def run_names(runs: Sequence[Comparable]) -> dict[str, str]:
    """What the picker and the address call each run: its id without the date, where that is clear.

    The name depends on the run alone, so that a link still works when other runs come and go.
    """
    short = {run.id: re.sub(r"^\d{4}-\d\d-\d\d_", "", run.id).replace("_", " ") for run in runs}
    taken = Counter(short.values())
    return {run_id: run_id if taken[name] > 1 else name for run_id, name in short.items()}


def default_pair(runs: Sequence[Run]) -> list[Run]:
    """The run and its twin to begin with: plain and residual, depth 34, else the deepest pair.

    A pair has the same layers, images and recipe. Of several the wider net, the longer training
    and then the newer run wins. Without a pair: the newest run.
    """
    trained = [run for run in runs if run.status.epoch]
    known: dict[tuple, list[Run]] = {}
    for run in trained:
        known.setdefault((run.config.net, run.comparison_key), []).append(run)
    # Of many seeds one, or all pairs of them would be tried.
    furthest = {
        key: [max(seeds, key=lambda run: (run.state == "finished", run.status.epoch))]
        for key, seeds in known.items()
    }
    pairs = [
        (twin, run)
        for run in trained
        if run.config.net.traits.has_shortcuts
        for twin in furthest.get((run.config.net.counterpart(), run.comparison_key), [])
    ]
    if not pairs:
        return list(runs[-1:])
    return list(max(pairs, key=_rank))


def _rank(pair: tuple[Run, Run]) -> tuple:
    twin, run = pair
    net = run.config.net
    order = -list(KINDS).index(net.kind)  # the pair that the paper is about first
    is_papers = net.depth == 34 and net.family == "imagenet"
    finished = twin.state == run.state == "finished"
    option_a = net.shortcut == "A"  # has exactly the plain net's parameters
    epochs = min(twin.status.epoch, run.status.epoch)
    return order, is_papers, net.depth, finished, net.width, option_a, epochs, run.config.created
