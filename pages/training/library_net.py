"""Parts of the page "Bring your own net" for what is no net of the families here.

A net of torchvision or timm is opened by its library and measured; of any other the page says how
to measure it with the code that it came from.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from analysis.errors import LensError, UnknownNet
from analysis.evidence.presets import default_depths
from analysis.figures import refinement
from analysis.runs import SavedRecording, default_folder
from analysis.specs import DataSpec
from analysis.text import _
from pages.common import cached, messages, pickers, show
from pages.training import checkpoint

if TYPE_CHECKING:
    from analysis.foreign.library import Architecture, LibraryFile

_EVIDENCE = Path(__file__).parents[1] / "evidence"


def offer(chosen: checkpoint.Chosen, refused: UnknownNet) -> None:
    """Measure the net as a library's, where its tensors fit one; else how to do it in Python."""
    found = _found_in(chosen)
    if not found.architectures:
        st.error(messages.literal(str(refused)), title=_("Refused"), icon=":material/block:")
        _show_how_to(chosen)
        return
    architecture = _choose(found)
    st.success(
        _(
            "None of the families here; its names and shapes are those of this net. The library "
            "builds it, and the file's {n} tensors are put into it: no code comes from the file."
        ).format(n=found.n_tensors),
        title=_("Found {net}").format(net=architecture.title),
    )
    asked = _ask()
    if asked is None:
        return
    try:
        with checkpoint.shown_progress() as progress, chosen.opened() as path:
            from analysis.exchange.importing import NORMALIZATIONS
            from analysis.foreign import library, opening

            data, images, normalization = asked
            recording = opening.observe_file(
                library.library_file(path, chosen.name), architecture, DataSpec.parse(data),
                images, NORMALIZATIONS.get(normalization), default_folder(), progress,
            )  # fmt: skip
    except LensError as error:
        st.error(messages.literal(str(error)), title=_("Refused"), icon=":material/block:")
    else:
        _show(recording)


def _found_in(chosen: checkpoint.Chosen) -> LibraryFile:
    """Which architectures fit; read once, not at each pass over the page, and kept without weights.

    The file was read already, so that nothing is raised here.
    """
    known = st.session_state.get("import_fits")
    if known is None or known[0] != chosen.stamp:
        from analysis.foreign.library import library_file, slim

        with chosen.opened() as path:
            found = slim(library_file(path, chosen.name))
        known = st.session_state["import_fits"] = (chosen.stamp, found)
    return known[1]


def _choose(found: LibraryFile) -> Architecture:
    if len(found.architectures) == 1:
        return found.architectures[0]
    return st.selectbox(
        _("Architecture"),
        found.architectures,
        format_func=lambda one: one.title,
        key="import_architecture",
        help=_("All of these have tensors of the same names and shapes, but compute differently."),
    )


def _ask() -> tuple[str, int, str] | None:
    """Images, how many, normalization; None until they are sent."""
    from analysis.exchange.importing import NORMALIZATIONS

    own = _("The library's own")
    with st.form("import_library_form", border=False):
        left, middle, right = st.columns([3, 1, 2])
        data = left.text_input(
            _("Images to measure it over"),
            key="import_library_data",
            placeholder="folder:PATH, cifar10, digits",
            help=_("Any folder of images. They are scaled to the size that the net takes."),
        ).strip()
        images = middle.selectbox(_("How many"), [64, 16, 256], key="import_library_images")
        normalization = right.selectbox(
            _("Normalization of its input"), [own, *NORMALIZATIONS], key="import_library_norm"
        )
        asked = st.form_submit_button(_("Measure it"), type="primary", key="import_library_go")
    if asked and not data:
        st.warning(_("Name the images: folder:PATH, cifar10 or digits."))
    return (data, images, normalization) if asked and data else None


def _show(recording: SavedRecording) -> None:
    """The recording's blocks, and where it stands beside other nets."""
    st.success(
        _("Saved as {recording}").format(recording=recording.id), icon=":material/check_circle:"
    )
    info = refinement.refinement_info([recording])
    reading = _("A recording has neither history nor weights; it stands beside runs by its blocks.")
    show.figure(refinement.plot_by_block(info), info, "import_refinement", reading)
    names = pickers.link_names([*default_depths(cached.list_runs()[0]), recording])
    st.page_link(
        _EVIDENCE / "refinements.py",
        label=_("Open it in Small refinements"),
        icon=":material/compare_arrows:",
        query_params={"refinements_runs": names},
    )
    st.page_link(
        _EVIDENCE / "compare.py",
        label=_("Open it in Compare"),
        icon=":material/compare_arrows:",
        query_params={"compare_runs": names},
    )


def _show_how_to(chosen: checkpoint.Chosen) -> None:
    from analysis.foreign.library import how_to

    path = chosen.name if chosen.path is None else chosen.path.absolute()
    st.markdown(
        _(
            "Any module with blocks x + F(x) can be measured with the code that builds it: once "
            "with `observe`, or during your own training loop with `watch`. It then stands beside "
            "the runs in Compare and Small refinements."
        )
    )
    st.code(how_to(path, Path(chosen.name).stem), language="python")
