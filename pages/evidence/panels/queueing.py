"""What would complete the evidence: its commands, and a button that queues them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import streamlit as st

from analysis import jobs
from analysis.errors import LensError
from analysis.evidence.missing import commands_elsewhere, requests_like
from analysis.runs import Run, default_folder
from analysis.runs.names import names_at, run_names
from analysis.text import _
from pages.common import cached, classroom, messages, state

TRAIN = Path(__file__).resolve().parents[2] / "training" / "train.py"


def offer(
    nets: Sequence[str], runs: Sequence[Run], key: str, title: str, lines: Sequence[str] = ()
) -> None:
    """Trainings like those of a group, folded away: which, with what seed, and as commands.

    Args:
        nets: short names, the most wanted first.
        runs: the group to complete; may be empty.
        key: of the controls.
        title: of the fold.
        lines: sentences to begin with; in a classroom nothing else is shown.
    """
    if classroom.is_on():
        st.markdown("\n".join(f"- {line}" for line in lines))
        return
    with st.expander(title, icon=":material/playlist_add:"):
        if lines:
            st.markdown("\n".join(f"- {line}" for line in lines))
        with state.row():
            # Another group has other nets, so a control of its own.
            own = f"{key}_nets_{runs[0].comparison_key if runs else ''}"
            chosen = st.multiselect(_("Nets to train"), nets, nets[:2], key=own)
            seed = st.number_input(
                _("Seed"), 0, 10_000, _next_seed(nets[:2], runs), key=f"{key}_seed",
                help=_("A second seed of a net shows how much of a gap is chance."),
            )  # fmt: skip
        try:
            requests = requests_like(chosen, runs[0] if runs else None, int(seed))
        except LensError as error:
            words = _("These can't be queued here: {reason}")
            st.info(messages.literal(words.format(reason=error)), icon=":material/info:")
            like, folder = runs[0] if runs else None, default_folder()
            shown = commands_elsewhere(chosen, like, int(seed), folder)
            st.code("\n".join(shown), "bash", wrap_lines=True)
            return
        requests = _not_there(requests, runs)
        if not requests:
            return
        st.code(
            "\n".join(request.command(default_folder()) for request in requests),
            "bash",
            wrap_lines=True,
        )
        if st.button(_("Train in the background"), key=f"{key}_queue", icon=":material/queue:"):
            _queue(requests)


def _next_seed(nets: Sequence[str], runs: Sequence[Run]) -> int:
    """The first that no finished run of these nets has."""
    had = {run.config.seed for run in runs if run.net in nets}
    return next(seed for seed in count() if seed not in had)


def _not_there(requests: Sequence[jobs.Request], runs: Sequence[Run]) -> list[jobs.Request]:
    """Those that no finished run of the group answers; says which one does."""
    found, there = [], {(run.net, run.config.seed): run for run in reversed(runs)}
    for request in requests:
        same = there.get((request.net.name, request.seed))
        if same:
            words = _("{net} with seed {seed} is there already ({run}); take another seed")
            said = words.format(
                net=request.net.name,
                seed=request.seed,
                run=messages.literal(run_names([same])[same.id]),
            )
            st.info(said, icon=":material/info:")
        else:
            found.append(request)
    return found


def _queue(requests: list[jobs.Request]) -> None:
    """As a study: what stopped goes on where it was, what is missing is new."""
    found = jobs.parts(requests, cached.list_runs()[0])
    busy = [part for part in found if part.standing in ("queued", "running")]
    try:
        done = jobs.submit(jobs.Study([p for p in found if p not in busy]), default_folder())
    except LensError as error:
        st.error(messages.literal(str(error)))
        return
    if done.paths:
        say_queued(names_at(done.paths))
    for part in busy:
        words = _("{net} is queued or running already, with the same seed: {run}")
        st.warning(
            words.format(
                net=part.request.net.name,
                run=messages.literal(names_at([part.run.path])) if part.run else "",
            )
        )


def say_queued(names: str) -> None:
    """What was queued, and the way to the page that follows it."""
    st.success(_("Queued: {runs}").format(runs=messages.literal(names)))
    st.page_link(TRAIN, label=_("Follow it on the Train page"), icon=":material/play_circle:")
