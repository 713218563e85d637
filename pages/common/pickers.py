"""Choosing runs, and which one stands out. Knows runs, not what is drawn of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

import streamlit as st

from analysis.figures import run_styles
from analysis.runs import Comparable, Run
from analysis.spec import KINDS
from analysis.text import _
from pages.common.state import URL

Entry = TypeVar("Entry", Run, Comparable)


def pick_runs(runs: Sequence[Entry], key: str, first: Sequence[Run] | None = None) -> list[Entry]:
    """Any number of runs, in the order picked; at first `first` or the pair of `default_pair`."""
    if first is None:
        first = default_pair([run for run in runs if isinstance(run, Run)])
    names = run_names(runs)
    by_id = {run.id: run for run in runs}
    chosen = st.multiselect(
        _("Runs"),
        list(by_id),
        default=[run.id for run in first or runs[-1:]],
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
    taken = list(short.values())
    return {run_id: run_id if taken.count(name) > 1 else name for run_id, name in short.items()}


def default_pair(runs: Sequence[Run]) -> list[Run]:
    """The run and its twin to begin with: plain and residual, depth 34, else the deepest pair.

    A pair has the same layers, images and recipe. Of several the wider net, the longer training
    and then the newer run wins. Without a pair: the newest run.
    """
    trained = [run for run in runs if run.status.epoch]
    known: dict[tuple, list[Run]] = {}
    for run in trained:
        known.setdefault((run.config.net, run.comparison_key), []).append(run)
    pairs = [
        (twin, run)
        for run in trained
        if run.config.net.traits.has_shortcuts
        for twin in known.get((run.config.net.counterpart(), run.comparison_key), [])
    ]
    if not pairs:
        return list(runs[-1:])
    return list(max(pairs, key=_rank))


DEPTHS = (20, 56, 110)
"""Of Fig. 7's residual nets."""


def default_depths(runs: Sequence[Run]) -> list[Run]:
    """Residual runs of three depths to begin with: 20, 56, 110, else the least, middle and deepest.

    They differ in depth alone and have the same images and recipe: of several such sets the one
    with more of Fig. 7's depths, then of more depths, then trained longer. Of each net the
    newest run of the least seed.
    """
    sets: dict[tuple, dict[int, Run]] = {}
    for run in sorted(runs, key=lambda run: (-run.config.seed, run.config.created)):
        net = run.config.net
        if net.kind != "plain" and run.status.epoch and run.from_scratch:
            key = net.kind, net.family, net.width, net.shortcut, run.comparison_key
            sets.setdefault(key, {})[net.depth] = run
    if not sets:
        return []
    best = max(sets.values(), key=_rank_depths)
    depths = sorted(best)
    papers = [depth for depth in DEPTHS if depth in best]
    chosen = papers if len(papers) > 1 else [depths[0], depths[len(depths) // 2], depths[-1]]
    return [best[depth] for depth in dict.fromkeys(chosen)]


def _rank_depths(found: dict[int, Run]) -> tuple:
    finished = all(run.state == "finished" for run in found.values())
    papers = sum(depth in found for depth in DEPTHS)
    return finished, papers, len(found), min(run.status.epoch for run in found.values())


def _rank(pair: tuple[Run, Run]) -> tuple:
    twin, run = pair
    net = run.config.net
    order = -list(KINDS).index(net.kind)  # the pair that the paper is about first
    is_papers = net.depth == 34 and net.family == "imagenet"
    finished = twin.state == run.state == "finished"
    option_a = net.shortcut == "A"  # has exactly the plain net's parameters
    epochs = min(twin.status.epoch, run.status.epoch)
    return order, is_papers, net.depth, finished, net.width, option_a, epochs, run.config.created
