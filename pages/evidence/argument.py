"""The paper's argument: claims, depth against error, construction, fitting the identity."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from analysis import figures
from analysis.evidence import claims
from analysis.evidence.continuation import constructions_under_way
from analysis.figures import depth, readings, sentences, theme
from analysis.runs import Run
from analysis.text import _
from pages.common import cached, classroom, messages, show
from pages.evidence.panels import construction, identity, queueing
from pages.evidence.panels.claims import show_claims


def pick_group(runs: list[Run]) -> list[Run]:
    """The runs of one data set and recipe."""
    groups = claims.groups(runs)
    if not groups:
        st.info(_("No finished run from scratch yet: every part below says what it needs."))
        return []
    names = {
        key: _("{data}, {recipe}: {count} runs").format(
            data=own[0].data_title, recipe=own[0].recipe, count=len(own)
        )
        for key, own in groups.items()
    }
    keys = sorted(groups, key=lambda key: -len(groups[key]))
    chosen = st.selectbox(
        _("Data and recipe"), keys, format_func=names.__getitem__, width=480,
        label_visibility="collapsed",
    )  # fmt: skip
    return messages.only_readable(groups[chosen])


def depth_figure(runs: list[Run]) -> None:
    """Error against depth, the gap with its sign and spread, and what would complete it."""
    info, figure, said = cached.made(_depth, runs)
    show.figure(figure, info, "argument_depth", readings.reading("argument_depth"), said)
    missing = depth.missing_nets(info)
    seeds = [net for net in dict.fromkeys(info["net"]) if net not in missing]
    title = _("From each depth to the next; train more depths or seeds")
    gaps = depth.gap_words(depth.gap_info(info))
    queueing.offer([*missing, *seeds], runs, "argument_depth_missing", title, gaps)


def _depth(runs: Sequence[Run]) -> tuple[pd.DataFrame, go.Figure, str]:
    """(the numbers, the figure, what to see)."""
    info = depth.depth_info(runs)
    figure = theme.sign(depth.plot_depth(info), figures.conditions(runs))
    return info, figure, sentences.of_depth(info)


st.title(_("The paper's argument"))
everything, damaged = cached.list_runs()
st.markdown(readings.opening("argument"))
group = pick_group(everything)
depth_figure(group)
if group and not show.is_drawn("argument_depth"):
    st.stop()
st.header(_("The claims"))
show_claims(group, everything)
messages.name_caveats(group)
st.header(_("The solution by construction"))
st.markdown(readings.opening("construction"))
followed = st.container()  # first on the page, last in the script: building chooses what it shows
if not classroom.is_on():
    asked = bool(constructions_under_way(everything))
    title = _("Construct another net")
    with st.expander(title, expanded=asked, icon=":material/construction:", key="argument_build"):
        construction.build(everything)
with followed:
    construction.follow()
if not classroom.is_on():
    st.header(_("Why is the identity hard?"))
    words = _("Fit H(x) = x, or x and a small perturbation, with plain and with residual layers.")
    st.markdown(words)
    identity.fitting(group)
messages.list_damaged(damaged)
