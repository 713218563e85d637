"""What went wrong or needs saying, in words on the page. Never a traceback, never silence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import streamlit as st
from streamlit.errors import FragmentHandledException

from analysis import faults
from analysis.commands import command
from analysis.errors import LensError
from analysis.escape import as_code, for_markdown
from analysis.evidence.caveats import caveats
from analysis.figures import comparability, run_styles
from analysis.runs import Comparable, DamagedRun, Run, SavedRecording, default_folder
from analysis.runs import only_readable as whole_ones
from analysis.text import _
from pages.common import cached, classroom
from pages.common.words import state_word

Entry = TypeVar("Entry", Run, Comparable)


@contextmanager  # ty: ignore[deprecated]
def telling() -> Iterator[None]:
    """Say what no page foresaw. An error of ours says what to do, another where it is kept."""
    try:
        yield
    except LensError as error:
        st.error(literal(str(error)))
    except FragmentHandledException:  # it was said within the fragment
        raise
    except Exception as error:
        st.error(literal(str(faults.keep(error))))
        raise  # its kind is named below, as .streamlit/config.toml says


def fragment(part: Callable[..., None], run_every: float | None = None) -> Callable[..., None]:
    """`st.fragment` that says its errors itself: Streamlit keeps them from who called it."""
    return st.fragment(telling()(part), run_every=run_every)


def literal(text: str) -> str:
    """Text that Streamlit shows as it stands: a file's name may look like Markdown or LaTeX."""
    return for_markdown(classroom.public(text))


def shown_names(runs: Sequence[Comparable]) -> dict[str, str]:
    """What figures call each run, by id, as it stands: for Markdown."""
    return {style.run: literal(style.label) for style in run_styles(runs)}


def stop_without_runs(runs: Sequence[Comparable], damaged: Sequence[DamagedRun]) -> None:
    """End the page with what to do, where there is no run to show."""
    if runs:
        return
    if classroom.is_on():
        st.info(_("There are no runs on this server yet."))
    else:
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
            st.markdown(f"{as_code(classroom.public(run.path))}: {literal(str(run.reason))}")


def only_readable(runs: Sequence[Entry]) -> list[Entry]:
    """The runs whose tables are whole; the others are named with what is wrong."""
    _read_once(runs)
    readable, damaged = cached.made(whole_ones, runs)
    for run in damaged:
        words = _("{run} is left out: {reason}")
        st.error(literal(words.format(run=run.id, reason=run.reason)))
    return readable


def _read_once(runs: Sequence[Comparable]) -> None:
    """Read the tables of many runs, 15 ms each, with progress; what is learned is kept."""
    if len(runs) <= cached.MANY or not cached.is_new(runs):
        return
    words = _("Reading {done} of {count} runs, once")
    bar, began = st.empty(), time.monotonic()
    for done, run in enumerate(runs):
        whole_ones([run])
        if done % 50 == 0 and time.monotonic() - began > 1:
            bar.progress(done / len(runs), words.format(done=done, count=len(runs)))
    bar.empty()


def only_loadable(runs: list[Run]) -> list[Run]:
    """The runs whose weights are whole; the others are named with what is wrong."""
    whole = []
    for run in runs:
        try:
            cached.check(run)
        except LensError as error:
            words = _("{run} is left out: {reason}")
            st.error(literal(words.format(run=run.id, reason=error)))
        else:
            whole.append(run)
    sizes = {run.config.image_size for run in whole}
    if len(sizes) > 1:
        st.warning(_("Nets with inputs of different sizes: those like the first one are shown."))
    return [run for run in whole if run.config.image_size == whole[0].config.image_size]


def warn(words: str) -> None:
    """A warning, where there is one."""
    if words:
        st.warning(literal(words), icon=":material/link_off:")


def warn_not_comparable(runs: Sequence[Comparable]) -> None:
    """Name the runs that differ from the first in images or recipe, and how; many, folded."""
    labels = shown_names(runs)
    words = _("**{run}**: {reason}")
    lines = [
        "- " + words.format(run=labels[run_id], reason=literal(reason))
        for run_id, reason in comparability(runs).items()
        if reason
    ]
    if not lines:
        return
    title = _("Not directly comparable with {run}").format(run=labels[runs[0].id])
    if len(lines) <= 2:
        st.warning("\n".join(lines), title=title, icon=":material/rule:")
    else:
        count = _("{title}: {count} runs").format(title=title, count=len(lines))
        with st.expander(count, icon=":material/rule:"):
            st.warning("\n".join(lines))


def name_caveats(runs: Sequence[Comparable]) -> None:
    """What is known against a run's numbers, from the run itself and by measuring two ways."""
    lines = cached.made(_caveats, runs)
    if lines:
        labels = shown_names(runs)
        said = [
            f"- **{', '.join(labels[run_id] for run_id in ids)}**: {literal(caveat)}"
            for caveat, ids in lines.items()
        ]
        with st.expander(
            _("Caveats about these runs ({count})").format(count=len(said)),
            icon=":material/info:",
        ):
            st.markdown("\n".join(said))


def _caveats(runs: Sequence[Comparable]) -> dict[str, list[str]]:
    """The runs that each caveat is about."""
    lines: dict[str, list[str]] = {}
    for run in runs:
        if isinstance(run, Run):
            for caveat in caveats(run):
                lines.setdefault(caveat, []).append(run.id)
    return lines


def name_unfinished(runs: Sequence[Comparable]) -> None:
    """Say of which runs the training is not complete."""
    labels = shown_names(runs)
    words = _("{run}: {state} after {epoch} of {total} epochs")
    lines = [
        words.format(
            run=labels[run.id], state=state_word(run.state), epoch=run.status.epoch, total=total
        )
        for run in runs
        if run.status and run.state != "finished" and (total := run.status.epochs_total)
    ]
    if lines:
        st.caption("  \n".join(lines))


def name_without_weights(runs: Sequence[Run]) -> None:
    """Say of which runs the weights were left out, so that this page can't open them."""
    if not runs:
        return
    title = _("Runs that came without their weights, left out here ({count})")
    with st.expander(title.format(count=len(runs))):
        if classroom.is_on():
            st.markdown(literal(", ".join(run.id for run in runs)))
            return
        st.markdown(_("Their curves and layer responses are on Compare. To train one again:"))
        st.code("\n".join(run.config.command for run in runs), "bash")


def name_without_history(runs: Sequence[Comparable]) -> None:
    """Say which of them were not trained here, and what there is of each nevertheless."""
    labels = shown_names(runs)
    untrained = [run for run in runs if run.has_no_history and run.history().empty]
    recorded = [
        labels[run.id]
        for run in untrained
        if isinstance(run, SavedRecording) and len(run.responses())
    ]
    others = [labels[run.id] for run in untrained if not isinstance(run, SavedRecording)]
    if others:
        words = _(
            "{runs}: not trained here, so without a training history or error curves; layer "
            "responses and the summary show what there is."
        )
        st.caption(words.format(runs=", ".join(others)))
    if recorded:
        words = _(
            "{runs}: layer responses recorded from modules outside the supported families; without "
            "errors, history or weights, so the other pages can't open them."
        )
        st.caption(words.format(runs=", ".join(recorded)))
    silent = [run for run in runs if isinstance(run, SavedRecording) and run.responses().empty]
    if silent:
        words = _("{runs}: no layer responses, which are those of BN layers (section 4.2).")
        st.caption(words.format(runs=", ".join(labels[run.id] for run in silent)))
