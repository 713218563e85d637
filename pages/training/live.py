"""The live view: what trains, what waits, what stopped, and the curves as they grow.

A fragment that runs by itself only while something trains or waits, so that the rest of the page
keeps its scroll and selections; figures are built again only when their tables changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from analysis import figures, formats, jobs
from analysis.errors import RunDamaged
from analysis.escape import as_code
from analysis.evidence.claims import test_error, train_error
from analysis.evidence.presets import twins
from analysis.figures import sentences
from analysis.jobs.queue import LOG
from analysis.runs import Comparable, Run, SavedRecording, default_folder
from analysis.runs.files import CANCEL
from analysis.runs.files import LOG as TRAIN_LOG
from analysis.runs.index import one_look
from analysis.runs.resuming import is_resumable
from analysis.text import Message, _
from pages.common import cached, messages, pickers, state
from pages.common import show as shown
from pages.common.words import progress_words, share_done, state_word, tail, watched_words
from pages.training import actions, studies

_PAGES = Path(__file__).resolve().parents[1]
COMPARE, IMAGE = _PAGES / "evidence" / "compare.py", _PAGES / "lens" / "image.py"
REFRESH = 2.0
"""Seconds between looks while something trains."""
_ENDED = 3
"""Trainings that ended and are shown with their curves."""
_STOPPED = ("cancelled", "failed", "interrupted")


def is_active() -> bool:
    """Whether something trains or waits."""
    return bool(_active(cached.list_runs()[0]) or _watched())


def comes_first(active: bool) -> bool:
    """Whether something is active, or was since the page was opened: what came out of it is to be
    seen where it was followed."""
    wanted = active or st.session_state.get("train_followed", False)
    st.session_state["train_followed"] = wanted
    return wanted


def show(active: bool) -> None:
    """All of it; refreshed while there is something to see."""
    messages.fragment(_live, run_every=REFRESH if active else None)(active)


def _active(runs: list[Run]) -> list[Run]:
    busy = (run for run in runs if run.state == "running" or jobs.is_waiting(run))
    return [run for run in busy if not run.bundled]


def _watched() -> list[SavedRecording]:
    """Training loops of other programs that are watched, and go on."""
    return [one for one in cached.list_recordings()[0] if one.status and one.state == "running"]


@one_look()
def _live(was_active: bool) -> None:
    everything = cached.list_runs()[0]
    mine = [run for run in everything if not run.bundled]
    watched = _watched()
    if bool(_active(mine) or watched) != was_active:
        st.rerun()  # the whole page, to begin or to end refreshing
    running = [run for run in mine if run.state == "running"]
    waiting = sorted(filter(jobs.is_waiting, mine), key=jobs.queue_position)
    done = _finished(mine, everything)
    _running(running)
    _show_watched(watched)
    growing = [*(run for run in running if not run.is_construction), *watched]
    if growing or done:  # these first: they are what one watches
        _figures([*growing, *done], everything)
    found = jobs.studies(mine)
    studies.show(found)
    _waiting(waiting)
    in_tables = {part.run.id for parts in found.values() for part in parts if part.run}
    idle = [run for run in mine if _never_started(run) and run.id not in in_tables]
    _stopped([*idle, *(run for run in mine if run.state in _STOPPED)])
    if not (growing or done):
        _figures([], everything)


def _never_started(run: Run) -> bool:
    return run.state == "queued" and not jobs.is_waiting(run)


def _running(runs: list[Run]) -> None:
    if runs:
        st.subheader(_("Training"))
    places = st.columns(2, gap="small") if len(runs) > 1 else [st.container()]
    for number, run in enumerate(runs):
        card = places[number % len(places)].container(border=True, key=f"train_card_{run.id}")
        with card:
            words, button = st.columns([5, 1], vertical_alignment="center")
            with words:
                st.markdown(_head(run))
                st.progress(share_done(run), progress_words(run))
            with button:
                asked = (run.path / CANCEL).exists()
                st.button(
                    _("Stopping") if asked else _("Cancel"), disabled=asked,
                    key=f"train_cancel_{run.id}", on_click=actions.cancel, args=(run.path,),
                )  # fmt: skip
            lines = tail(run.path / TRAIN_LOG)
            if lines:
                with st.expander(_("Messages"), key=f"train_log_{run.id}"):
                    st.code(lines, None, wrap_lines=True)


def _show_watched(recordings: list[SavedRecording]) -> None:
    """What other programs train, which only they can stop."""
    if recordings:
        st.subheader(_("Training in other programs"))
    for one in recordings:
        with st.container(border=True, key=f"train_watched_{one.id}"):
            title = messages.literal(one.net)
            data = f" · {messages.literal(one.data_title)}" if one.data_title else ""
            st.markdown(f"**{title}**{data} · `{one.id}`")
            if one.status and one.status.epochs_total:
                share = min(one.status.epoch / one.status.epochs_total, 1.0)
                st.progress(share, watched_words(one))
            else:
                st.caption(watched_words(one))


def _waiting(runs: list[Run]) -> None:
    if not runs:
        return
    st.subheader(_("Waiting ({count})").format(count=len(runs)))
    if not jobs.worker_alive(default_folder()):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.warning(_("The queue is not running, for example after a restart of the machine."))
            st.button(_("Go on"), type="primary", key="train_work", on_click=actions.work)
    for run in runs:
        with st.container(horizontal=True, vertical_alignment="center"):
            words = _head(run)
            st.markdown(words, width="stretch")
            st.button(
                _("Remove"), key=f"train_cancel_{run.id}",
                on_click=actions.cancel, args=(run.path,),
            )  # fmt: skip


def _finished(mine: list[Run], everything: list[Run]) -> list[Run]:
    """The trainings that ended last in this session's sight: what came out, and where to go on."""
    done = [run for run in mine if run.state == "finished" and not run.is_construction]
    before = st.session_state.setdefault("train_done", {run.id for run in done})
    new = [run for run in done if run.id not in before]
    new = sorted(new, key=lambda run: run.status.ended, reverse=True)[:_ENDED]
    if not new:
        return []
    st.subheader(_("Finished"))
    names = pickers.run_names(everything)
    places = st.columns(len(new), gap="small")
    for place, run in zip(places, new, strict=True):
        with place, st.container(border=True, key=f"train_finished_{run.id}"):
            words = _("**{net}**: clean training error {train}, test error {test}, {epochs} epochs")
            st.markdown(words.format(
                net=run.net, train=formats.percent(train_error(run)),
                test=formats.percent(test_error(run)), epochs=run.status.epoch,
            ))  # fmt: skip
            twin = next(iter(twins(run, everything)), None)
            chosen = [names[one.id] for one in ([run, twin] if twin else [run])]
            label = _("Compare with {net}").format(net=twin.net) if twin else _("Compare")
            with st.container(horizontal=True):
                st.page_link(COMPARE, label=label, icon=":material/compare_arrows:",
                             query_params={"compare_runs": chosen})  # fmt: skip
                st.page_link(IMAGE, label=_("Inspect"), icon=":material/image_search:",
                             query_params={"image_runs": chosen})  # fmt: skip
    return new


def _stopped(runs: list[Run]) -> None:
    if not runs:
        return
    st.subheader(_("Stopped ({count})").format(count=len(runs)))
    names = pickers.run_names(runs)
    for run in runs:
        with st.container(border=True, key=f"train_stopped_{run.id}"):
            words, buttons = st.columns([3, 2], vertical_alignment="center")
            with words:
                _why_stopped(run, names[run.id])
            with buttons, st.container(horizontal=True, horizontal_alignment="right"):
                _stopped_buttons(run)


def _why_stopped(run: Run, name: str) -> None:
    status = run.status
    said = _("**{net}** · {state} after {epoch} of {total} epochs · {run}")
    if run.is_construction:
        said = _("**{net}** · construction {state} · {run}")
    word = _("not started") if run.state == "queued" else state_word(run.state)
    st.markdown(said.format(net=run.net, state=word, epoch=status.epoch,
                            total=status.epochs_total, run=as_code(name)))  # fmt: skip
    reason = status.reason
    if run.state == "interrupted" and not reason:
        reason = Message("the process ended unexpectedly: killed, or the machine went down")
    if reason and reason.english() != run.state:  # a plain cancel says no more than the state
        st.caption(messages.literal(str(reason)))
    if run.state == "failed":
        with st.expander(_("What it printed"), key=f"train_printed_{run.id}"):
            st.code(tail(run.path / LOG, 20) or tail(run.path / TRAIN_LOG), None, wrap_lines=True)


def _stopped_buttons(run: Run) -> None:
    key = run.id
    if is_resumable(run):
        label = _("Start") if run.state == "queued" else _("Resume")
        if run.is_construction:
            label = _("Construct")
        st.button(label, key=f"train_resume_{key}", on_click=actions.resume, args=(run.path,))
        if run.status.epoch:
            st.button(
                _("Keep as it is"), key=f"train_keep_{key}", on_click=actions.keep,
                args=(run.path,), help=_("Frees the disk of what only resuming needs."),
            )  # fmt: skip
    if st.button(_("Delete"), key=f"train_delete_{key}"):
        actions.ask_delete(run.path)


def _figures(followed: Sequence[Comparable], everything: list[Run]) -> None:
    """Curves of what trains or has just ended beside chosen runs, and their layer responses."""
    ids = {run.id for run in followed}
    others = [run for run in everything if run.status.epoch and run.state != "running"]
    others = [run for run in others if run.id not in ids]
    if not others and not followed:
        return
    place = st.container()
    pickers.renew_link(others, "train_beside")
    names, by_id = pickers.run_names(others), {run.id: run for run in others}
    chosen = st.multiselect(
        _("Compare with"), list(by_id), format_func=lambda i: names.get(i, i),
        key="train_beside", bind=state.URL, select_all=False, filter_mode="contains",
        placeholder=_("Choose runs to compare with"),
    )  # fmt: skip
    picked = [*followed, *(by_id[i] for i in chosen if i in by_id)]
    with place:
        if picked:
            _draw(picked)
        else:
            st.subheader(_("Curves"))
            st.caption(_("Finished runs are on the Compare page; choose some here to see them."))


def _draw(picked: Sequence[Comparable]) -> None:
    try:
        drawn = _drawn(picked)
    except RunDamaged as error:
        st.error(messages.literal(str(error)))
        return
    errors, responses = st.columns(2, gap="medium")
    with errors:
        reading = _("Thick: training error. One point per epoch, as soon as it is complete.")
        said = sentences.of_progress(drawn[0][1])
        shown.figure(*drawn[0], "train_errors", reading, said, drawn[2])
    with responses:
        reading = _("In closed form from the BN parameters, after each run's last whole epoch.")
        if not any(isinstance(run, Run) for run in picked):
            reading = _("As measured by each program's last probe.")
        said = sentences.of_responses(drawn[1][1])
        shown.figure(*drawn[1], "train_responses", reading, said, drawn[2])


def _drawn(runs: Sequence[Comparable]) -> list:
    """Both figures with their tables; those of the last time unless a table changed."""
    stamp = [(run.id, run.stamp()) for run in runs]
    before = st.session_state.get("train_drawn")
    if before and before[0] == stamp:
        return before[1]
    # Closed form only: a run that trains has nothing else, and like is compared with like. What
    # other programs train has measured ones only.
    curves = figures.error_curves_info(runs)
    source = "closed_form" if any(isinstance(run, Run) for run in runs) else "auto"
    layers = figures.responses_info(runs, source)
    drawn = [
        (figures.plot_error_curves(curves), curves),
        (figures.plot_responses(layers), layers),
        figures.conditions(runs),
    ]
    st.session_state["train_drawn"] = (stamp, drawn)
    return drawn


def _head(run: Run) -> str:
    """A run in a line: net, data, recipe, seed."""
    seed = _("seed {seed}").format(seed=run.config.seed)
    data, recipe = map(messages.literal, (run.data_title, run.recipe))
    return f"**{run.net}** · {data} · {recipe} · {seed}"
