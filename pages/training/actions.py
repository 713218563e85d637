"""What buttons of the Train page do; what came of it is said at the top of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from analysis import jobs
from analysis.errors import LensError
from analysis.escape import as_code
from analysis.jobs import estimate
from analysis.runs import Run, default_folder
from analysis.runs.names import names_at
from analysis.text import _
from pages.common import messages

_SAID = "train_said"


def tell() -> None:
    """Show what the last button brought about, once."""
    for kind, words in st.session_state.pop(_SAID, []):
        shown = messages.literal(words)
        st.error(shown) if kind == "error" else st.success(shown)


def _say(words: str, kind: str = "done") -> None:
    st.session_state.setdefault(_SAID, []).append((kind, words))


def _try(action: Callable[[], object]) -> bool:
    try:
        action()
    except LensError as error:
        _say(str(error), "error")
        return False
    return True


def start(asked: Sequence[jobs.Request]) -> None:
    """Queue the trainings, if there is room, and see that somebody works off the queue."""
    _try(lambda: _start(asked))


def _start(asked: Sequence[jobs.Request]) -> None:
    done = jobs.submit(jobs.Trainings(asked), default_folder())
    if done.paths:
        _say(_("Queued: {runs}").format(runs=names_at(done.paths)))
        st.session_state["frame_top"] = st.session_state.get("frame_top", 0) + 1
    for request, path in done.already:
        words = _("{net} is queued or running already, with the same seed: {run}")
        _say(words.format(net=request.net.name, run=names_at([path])), "error")


def time_steps(asked: Sequence[jobs.Request]) -> None:
    """Time some steps of each net, the smallest first."""
    with st.spinner(_("Estimating speed")):
        for request in asked[:6]:
            if not _try(lambda r=request: estimate.time_steps(r, default_folder(), 2.0)):
                return


def set_at_a_time() -> None:
    """Let as many train at once as the control says."""
    number = int(st.session_state["train_at_a_time"])
    _try(lambda: jobs.set_at_a_time(default_folder(), number))


def cancel(path: Path) -> None:
    """Stop a run, or take it out of the queue."""
    _try(lambda: jobs.stop(path))


def cancel_all(runs: Sequence[Run]) -> None:
    """Stop the runs of a study, those that wait first: or another would begin meanwhile."""
    for run in sorted(runs, key=lambda run: run.state == "running"):
        cancel(run.path)


def resume_all(parts: Sequence[jobs.Part]) -> None:
    """Queue the runs of a study that nobody trains."""
    _try(lambda: jobs.submit(jobs.Study(parts), default_folder()))


def resume(path: Path) -> None:
    """Put a run that stopped into the queue."""
    _try(lambda: jobs.submit(jobs.Resumed(path), path.parent))


def work() -> None:
    """Work off the queue, as after a reboot."""
    _try(lambda: jobs.start_worker(default_folder()))


def keep(path: Path) -> None:
    """Forget what only resuming needs."""
    _try(lambda: jobs.drop_resume(path))


def ask_delete(path: Path) -> None:
    """Delete only after a second look."""
    st.dialog(_("Delete this run?"))(_delete_dialog)(path)  # here: in the session's language


def _delete_dialog(path: Path) -> None:
    words = _("{path} with its weights, curves and log. This can't be undone.")
    st.markdown(words.format(path=as_code(path)))
    with st.container(horizontal=True):
        if st.button(
            _("Delete for good"), type="primary", key="train_delete_yes",
            on_click=_delete, args=(path,),
        ):  # fmt: skip
            st.rerun()
        if st.button(_("Keep it"), key="train_delete_no"):
            st.rerun()


def _delete(path: Path) -> None:
    _try(lambda: jobs.delete(path, default_folder()))
