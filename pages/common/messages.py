"""What went wrong or needs saying, in words on the page. Never a traceback, never silence."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from analysis.errors import LensError
from analysis.figures import comparability, run_styles
from analysis.runs import DamagedRun, Run
from analysis.text import _


def stop_without_runs(runs: Sequence[Run], damaged: Sequence[DamagedRun]) -> None:
    """End the page with what to do, where there is no run to show."""
    if runs:
        return
    st.info(_("There are no runs yet. This command trains a small net in about a minute:"))
    st.code("python -m analysis train --net resnet-20 --data digits --recipe quick", "bash")
    list_damaged(damaged)
    st.stop()


def list_damaged(damaged: Sequence[DamagedRun]) -> None:
    """The runs that can't be read, each with its reason, folded away."""
    if not damaged:
        return
    with st.expander(_("Damaged runs, left out ({count})").format(count=len(damaged))):
        for run in damaged:
            st.markdown(f"`{run.path}`: {run.reason}")


def only_readable(runs: Sequence[Run]) -> list[Run]:
    """The runs whose tables are whole; the others are named with what is wrong."""
    readable = []
    for run in runs:
        try:
            run.history(), run.responses()
        except LensError as error:
            st.error(_("{run} is left out: {reason}").format(run=run.id, reason=error))
        else:
            readable.append(run)
    return readable


def warn_not_comparable(runs: Sequence[Run]) -> None:
    """Name the runs that differ from the first in images or recipe, and how."""
    labels = {style.run: style.label for style in run_styles(runs)}
    words = _("**{run}**: {reason}")
    lines = [
        "- " + words.format(run=labels[run_id], reason=reason)
        for run_id, reason in comparability(runs).items()
        if reason
    ]
    if lines:
        title = _("Not directly comparable with {run}").format(run=labels[runs[0].id])
        st.warning("\n".join(lines), title=title, icon=":material/rule:")


def name_unfinished(runs: Sequence[Run]) -> None:
    """Say of which runs the training is not complete."""
    labels = {style.run: style.label for style in run_styles(runs)}
    words = _("{run}: {state} after {epoch} of {total} epochs")
    lines = [
        words.format(run=labels[run.id], state=run.state, epoch=run.status.epoch, total=total)
        for run in runs
        if run.state != "finished" and (total := run.status.epochs_total)
    ]
    if lines:
        st.caption("; ".join(lines) + ".")
