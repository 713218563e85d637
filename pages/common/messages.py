"""What went wrong or needs saying, in words on the page. Never a traceback, never silence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import streamlit as st

from analysis.commands import command
from analysis.escape import as_code, for_markdown
from analysis.figures import comparability, run_styles
from analysis.runs import Comparable, DamagedRun, Run, SavedRecording, default_folder
from analysis.runs import only_readable as whole_ones
from analysis.text import _
from pages.common.words import state_word

Entry = TypeVar("Entry", Run, Comparable)


def literal(text: str) -> str:
    """Text that Streamlit shows as it stands: a file's name may look like Markdown or LaTeX."""
    return for_markdown(text)


def stop_without_runs(runs: Sequence[Comparable], damaged: Sequence[DamagedRun]) -> None:
    """End the page with what to do, where there is no run to show."""
    if runs:
        return
    st.info(_("There are no runs yet. This command trains a small net in about a minute:"))
    words = ("train", "--net", "resnet-20", "--data", "digits", "--recipe", "quick")
    st.code(command(*words, runs=default_folder()), "bash")
    list_damaged(damaged)
    st.stop()


def list_damaged(damaged: Sequence[DamagedRun]) -> None:
    """The runs that can't be read, each with its reason, folded away."""
    if not damaged:
        return
    with st.expander(_("Damaged runs, left out ({count})").format(count=len(damaged))):
        for run in damaged:
            st.markdown(f"{as_code(run.path)}: {literal(str(run.reason))}")


def only_readable(runs: Sequence[Entry]) -> list[Entry]:
    """The runs whose tables are whole; the others are named with what is wrong."""
    readable, damaged = whole_ones(runs)
    for run in damaged:
        words = _("{run} is left out: {reason}")
        st.error(literal(words.format(run=run.id, reason=run.reason)))
    return readable


def warn_not_comparable(runs: Sequence[Comparable]) -> None:
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


def name_unfinished(runs: Sequence[Comparable]) -> None:
    """Say of which runs the training is not complete."""
    labels = {style.run: style.label for style in run_styles(runs)}
    words = _("{run}: {state} after {epoch} of {total} epochs")
    lines = [
        words.format(
            run=labels[run.id], state=state_word(run.state), epoch=run.status.epoch, total=total
        )
        for run in runs
        if isinstance(run, Run) and run.state != "finished" and (total := run.status.epochs_total)
    ]
    if lines:
        st.caption("  \n".join(lines))


def name_without_weights(runs: Sequence[Run]) -> None:
    """Say of which runs the weights were left out, so that this page can't open them."""
    if not runs:
        return
    title = _("Runs that came without their weights, left out here ({count})")
    with st.expander(title.format(count=len(runs))):
        st.markdown(_("Their curves and layer responses are on Compare. To train one again:"))
        st.code("\n".join(run.config.command for run in runs), "bash")


def name_without_history(runs: Sequence[Comparable]) -> None:
    """Say which of them were not trained here, and what there is of each nevertheless."""
    labels = {style.run: style.label for style in run_styles(runs)}
    untrained = [run for run in runs if run.has_no_history and run.history().empty]
    recorded = [labels[run.id] for run in untrained if isinstance(run, SavedRecording)]
    others = [labels[run.id] for run in untrained if not isinstance(run, SavedRecording)]
    if others:
        words = _(
            "{runs}: not trained here, so without a training history or error curves; layer "
            "responses and the summary show what there is."
        )
        st.caption(words.format(runs=", ".join(others)))
    if recorded:
        words = _(
            "{runs}: layer responses recorded from modules that are no nets of the families here; "
            "without errors, history or weights, so the other pages can't open them."
        )
        st.caption(words.format(runs=", ".join(recorded)))
