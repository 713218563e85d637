"""Where a run's images are on this machine: asked once on a page, checked, kept for all runs."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from analysis.errors import LensError
from analysis.runs import Run
from analysis.text import _
from pages.common import classroom, messages


def ask(runs: Sequence[Run], where: str) -> None:
    """A field for the folder of the images that the first of these runs lacks. In a class: nothing.

    Args:
        runs: those that a page needs the images of.
        where: on the page, for the keys of the controls.
    """
    lacking = (run for run in runs if not run.has_images and run.config.data and run.config.images)
    run = next(lacking, None)
    if run is None or run.config.data is None or classroom.is_on():
        return
    with st.form(f"place_{where}"):
        folder = st.text_input(
            _("Folder of {data} on this machine").format(data=messages.literal(run.data_title)),
            key=f"place_{where}_folder",
            help=_help(run),
            placeholder="/data/cifar" if run.config.data.known else "/data/images",
        )
        asked = st.form_submit_button(_("Use this folder"), icon=":material/folder_open:")
    if asked and folder.strip():
        _take(run, folder)


def _help(run: Run) -> str:
    kept = _("It is checked, and kept for all runs on these images.")
    data = run.config.data
    if data and data.known:
        holds = _("The folder that holds {names}.").format(names=", ".join(data.known.files))
    else:
        holds = _("The folder that holds train/ and test/ with the images of this run.")
    return f"{holds} {kept}"


def _take(run: Run, folder: str) -> None:
    """Check the folder and keep it, then draw the page with its images."""
    from analysis.data.placing import place_images_of

    words = _("Reading images")
    bar = st.progress(0.0, words)

    def tell(done: int, total: int) -> None:
        bar.progress(done / total, words)

    try:
        place_images_of(run, folder, tell)
    except LensError as error:
        bar.empty()
        st.error(messages.literal(str(error)), icon=":material/folder_off:")
        return
    st.rerun()
