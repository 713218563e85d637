"""The solution by construction: make the deeper net, then see whether training keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import streamlit as st

from analysis import jobs
from analysis.commands import command, name_of
from analysis.errors import LensError, SpecError
from analysis.evidence.continuation import (
    Construction,
    Experiment,
    Study,
    built_runs,
    constructions_under_way,
    images_at_hand,
    study,
)
from analysis.figures import conditions, construction, readings
from analysis.runs import Run, default_folder
from analysis.runs.index import one_look
from analysis.runs.names import names_at
from analysis.specs import NetSpec, plan
from analysis.text import Message, _
from pages.common import cached, classroom, messages, pickers, places, show, state
from pages.common.words import progress_words, share_done, state_word
from pages.evidence.panels import queueing
from pages.training import actions

_DEPTHS = {"cifar": tuple(range(8, 117, 6)), "imagenet": (18, 34, 50, 101, 152)}
_BLOCKS, _QUEUED = "argument_blocks", "argument_queued"
_ASKED, _FRESH = "argument_asked", "argument_fresh"
"""The construction asked for last; one that has just been made, so that its blocks are compared."""
_MOST = 200
"""Runs to choose from."""
_REFRESH = 4.0
"""Seconds between looks at trainings that are under way."""


def build(runs: Sequence[Run]) -> None:
    """Deepen a run's net, and show layer by layer that it is the same function."""
    able = cached.made(_able, runs)
    bases = {run.id: run for run in sorted(able, key=lambda run: not images_at_hand(run))}
    if not bases:
        st.info(_("No finished run to build on yet."))
        return
    with state.row():
        names = pickers.run_names(runs)
        chosen = st.selectbox(
            _("Shallower net"), list(bases), key="argument_base",
            format_func=lambda run: names.get(run, run),
        )  # fmt: skip
        depths = _deeper(bases[chosen].config.net)
        usual = min(depths, key=lambda depth: abs(depth - bases[chosen].config.net.depth - 12))
        wanted = st.selectbox(
            _("Layers of the deeper net"), depths, depths.index(usual), key="argument_depth_wanted"
        )
        pressed = st.button(_("Construct"), icon=":material/construction:")
    if not images_at_hand(bases[chosen]):
        words = _("The images of {run} are not on this machine.")
        st.caption(words.format(run=bases[chosen].net))
        places.ask([bases[chosen]], "construction")
    else:
        st.code(_command(bases[chosen], wanted, "--background"), "bash")
    if pressed:
        _queue_construction(bases[chosen], wanted)
    under_way = constructions_under_way(cached.list_runs()[0])
    refresh = _REFRESH if under_way else None
    messages.fragment(_under_way, run_every=refresh)(bool(under_way))


def _able(runs: Sequence[Run]) -> list[Run]:
    """Those that can be built on; of too many to choose from, the first of each net."""
    whole = [
        run
        for run in runs
        if run.state == "finished" and run.config.data and _deeper(run.config.net)
    ]
    if len(whole) > _MOST:
        whole = list({(run.config.net, run.comparison_key): run for run in whole[::-1]}.values())
    return [run for run in whole if run.has_weights]


def _command(base: Run | str, depth: int, *options: str) -> str:
    """The command that constructs a net on a run, named as the reader's shell finds it."""
    name = base if isinstance(base, str) else name_of(base)
    return command("construct", name, depth, *options, runs=default_folder())


@cache
def _deeper(net: NetSpec) -> tuple[int, ...]:
    """Depths with the blocks of a net."""
    return tuple(depth for depth in _DEPTHS[net.family] if _can_be(net, depth))


def _can_be(net: NetSpec, depth: int) -> bool:
    try:
        plan.deeper_spec(net, depth)
    except SpecError:
        return False
    return True


def _queue_construction(base: Run, depth: int) -> None:
    """In the background, since it takes minutes: the page may be left."""
    work = Construction(base, depth, command=_command(base, depth))
    try:
        done = jobs.submit(work, default_folder())
    except LensError as error:
        st.error(messages.literal(str(error)))
    else:
        st.session_state[_ASKED] = done.paths[0].name


@one_look()
def _under_way(was_busy: bool) -> None:
    """Constructions that wait or run, each to be cancelled; how the last one asked for ended."""
    known, _damaged = cached.list_runs()
    found = constructions_under_way(known)
    if was_busy and not found:
        _show_newest(known)
    if bool(found) != was_busy:
        st.rerun()  # the whole page, to begin or to end refreshing
    for run in found:
        words, button = st.columns([6, 1], vertical_alignment="center")
        share = 0.0
        said = _("{net} from {shallow}: waiting in the queue")
        if run.state == "running":
            share = share_done(run)
            said = _("{net} from {shallow}: {progress}")
        values = {"net": run.net, "shallow": messages.literal(_shallow(run))}
        words.progress(share, said.format(**values, progress=progress_words(run)))
        button.button(
            _("Cancel"), key=f"argument_cancel_{run.id}", on_click=actions.cancel, args=(run.path,)
        )
    asked = st.session_state.get(_ASKED)
    if any(run.id == asked for run in built_runs(known)):
        _show_newest(known)
        st.rerun()
    made = [run for run in known if run.is_construction]
    last = max(made, key=lambda run: run.config.created, default=None)
    if last and last.state in ("failed", "interrupted", "cancelled"):
        words = _("{net} was not constructed: {reason}. The Train page has it to go on or delete.")
        reason = last.status.reason or Message(last.state)
        st.warning(messages.literal(words.format(net=last.net, reason=reason)))


def _show_newest(known: Sequence[Run]) -> None:
    """Choose what has just been made, and have its blocks compared."""
    st.session_state.pop(_ASKED, None)
    newest = next(iter(built_runs(known)), None)
    if newest:
        st.session_state["argument_built"] = st.session_state[_FRESH] = newest.id


def _compare(base: Run, made: Run) -> None:
    from analysis.construct.constructed_runs import compare_runs

    st.session_state.setdefault(_BLOCKS, {})[made.id] = compare_runs(base, made)[0]


def follow() -> None:
    """A constructed net of any time: its errors, its blocks, and what training made of it."""
    queued = st.session_state.pop(_QUEUED, "")
    if queued:
        queueing.say_queued(queued)
    known, _damaged = cached.list_runs()
    # What the user has made, newest first; of what came along the plain net, which is the point.
    built = sorted(built_runs(known), key=lambda r: (r.bundled, r.bundled and r.kind != "plain"))
    made = {run.id: run for run in built}
    if not made:
        st.info(_("No net has been constructed yet."))
        return
    names = pickers.run_names(known)
    chosen = st.selectbox(
        _("Constructed net"), list(made), format_func=lambda run: names.get(run, run),
        key="argument_built",
    )  # fmt: skip
    found = study(made[chosen], known)
    _same_function(found)
    refresh = _REFRESH if _is_busy(found) else None
    messages.fragment(_experiment, run_every=refresh)(chosen)


def _shallow(run: Run) -> str:
    """The short name of the net that it was constructed of."""
    return run.construction.net if run.construction else ""


def _same_function(found: Study) -> None:
    """The errors of both nets, and the differences of their blocks."""
    same = construction.same_function_words(found.built)
    if same:
        st.success(same)
    blocks = st.session_state.get(_BLOCKS, {}).get(found.built.id)
    if blocks is not None:
        reading = _(
            "Largest absolute difference of each block's output, in evaluation mode. In training "
            "mode BN uses each batch's statistics, so a plain identity is then only close to one; "
            "with F = 0 and an identity shortcut (options A and B) it stays exact."
        )
        show.table(construction.blocks_words(blocks), "argument_blocks_table", reading)
    elif (
        found.shallow
        and not classroom.is_on()
        and (
            st.session_state.pop(_FRESH, None) == found.built.id
            or st.button(_("Compare layer by layer"), key="argument_compare")
        )
    ):
        try:
            with st.spinner(_("Measuring")):
                _compare(found.shallow, found.built)
        except LensError as error:
            st.error(messages.literal(str(error)))
        else:
            st.rerun()


def _is_busy(found: Study) -> bool:
    return any(run.state in ("queued", "running") for run in found.trained_on + found.scratch)


@one_look()
def _experiment(built: str) -> None:
    """The net trained on against the same depth from scratch; refreshes while they train."""
    known, _damaged = cached.list_runs()
    run = next((run for run in known if run.id == built), None)
    if run is None:
        st.rerun()
        return
    found = study(run, known)
    missing = not (found.trained_on and found.scratch)
    if missing and not classroom.is_on() and st.button(
        _("Train it on, and the same depth from scratch"), type="primary",
        icon=":material/play_arrow:", key="argument_study",
        help=_("Both by the shallower net's recipe, in the background."),
    ):  # fmt: skip
        _queue(run, known)
    info = construction.construction_info(found)
    reading = readings.reading("argument_study_figure")
    figure = construction.plot_construction(info)
    shown = conditions([run, *found.scratch])  # trained on is no other condition, but what is shown
    show.figure(figure, info, "argument_study_figure", reading, conditions=shown)
    names = pickers.run_names(known)
    kept = construction.kept_words(info, names)
    st.markdown("\n".join(f"- {messages.literal(line)}" for line in kept))
    for other in found.trained_on + found.scratch:
        if other.state != "finished":
            st.caption(_experiment_words(other, names[other.id]))


def _experiment_words(run: Run, name: str) -> str:
    """A training that is not finished: how far it is, or that it waits."""
    progress = progress_words(run) if run.state == "running" else state_word(run.state)
    return _("{run}: {progress}").format(run=messages.literal(name), progress=progress)


def _queue(run: Run, known: Sequence[Run]) -> None:
    shallow = run.construction.run if run.construction else ""
    work = Experiment(run, known, _command(shallow, run.config.net.depth, "--queue"))
    try:
        done = jobs.submit(work, default_folder())
    except LensError as error:
        st.error(messages.literal(str(error)))
        return
    st.session_state[_QUEUED] = names_at(done.paths)
    st.rerun()  # the whole page, so that the figure follows the trainings
