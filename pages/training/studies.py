"""Studies: a table of each, net by seed, and buttons for all of its runs at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from analysis import jobs
from analysis.jobs import Part
from analysis.runs import Run
from analysis.runs.resuming import is_resumable
from analysis.text import _
from pages.common import messages
from pages.common.words import standing_words, state_word
from pages.training import actions


def show(found: Mapping[str, Sequence[Part]]) -> None:
    """A fold for each study; open while something is left of it.

    Args:
        found: by name, as `jobs.studies` has them.
    """
    if found:
        st.subheader(_("Studies"))
    for name, parts in found.items():
        left = any(part.standing != "finished" for part in parts)
        title = f"**{messages.literal(name)}** · {summary(parts)}"
        with st.expander(title, expanded=left, key=f"train_study_{name}"):
            st.dataframe(study_table(parts), width="stretch")
            _buttons(name, parts)


def study_table(parts: Sequence[Part]) -> pd.DataFrame:
    """How far each run of a study is: one row per net, one column per seed, empty where none is."""
    cells = pd.DataFrame(
        {
            "net": [part.request.net.name for part in parts],
            "seed": [_("Seed {seed}").format(seed=part.request.seed) for part in parts],
            "words": [standing_words(part.run) if part.run else "" for part in parts],
        }
    )
    table = cells.pivot(index="net", columns="seed", values="words").fillna("")
    table = table.reindex(index=cells["net"].unique())
    seeds = dict.fromkeys(sorted(part.request.seed for part in parts))
    table = table[[_("Seed {seed}").format(seed=seed) for seed in seeds]]
    return table.rename_axis(index=_("Net"), columns=None)


def summary(parts: Sequence[Part]) -> str:
    """How many runs are in which state, as `3 finished, 1 running`."""
    words = {"stopped": _("stopped"), "queued": _("queued or not started")}
    count = Counter(part.standing for part in parts)
    return ", ".join(
        f"{count[standing]} {words.get(standing) or state_word(standing)}"
        for standing in ("finished", "running", "queued", "stopped")
        if count[standing]
    )


def _buttons(name: str, parts: Sequence[Part]) -> None:
    active = [part.run for part in parts if part.run and part.standing in ("queued", "running")]
    idle = [part for part in parts if part.run and _is_idle(part.run)]
    with st.container(horizontal=True):
        if active:
            st.button(
                _("Cancel all"), key=f"train_study_cancel_{name}",
                on_click=actions.cancel_all, args=(active,),
            )  # fmt: skip
        if idle:
            st.button(
                _("Train what is left"), key=f"train_study_resume_{name}", type="primary",
                on_click=actions.resume_all, args=(idle,),
            )  # fmt: skip


def _is_idle(run: Run) -> bool:
    """Whether nobody trains it and this machine's queue does not have it; Slurm may come to it."""
    busy = run.state in ("running", "finished") or jobs.is_waiting(run)
    return not busy and is_resumable(run)
