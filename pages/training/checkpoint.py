"""Parts of the page "Bring your own net": the file, what is in it, how its input is normalized."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from analysis import figures
from analysis.runs import Run, default_folder
from analysis.text import _
from pages.common import messages, pickers, show

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from analysis.exchange.importing import Imported, Inspection

TYPED, OPEN = "typed", ""
ENDINGS = ["pth", "pt", "th", "ckpt", "bin", "safetensors", "tar"]
"""Of uploads; .tar since many are called checkpoint.pth.tar."""


@dataclass(frozen=True)
class Chosen:
    """The file that the user means: an upload, or a path on this machine."""

    name: str
    upload: UploadedFile | None
    path: Path | None

    @property
    def stamp(self) -> tuple:
        """Another for another file, and for a file that has changed."""
        if self.upload is not None:
            return ("upload", self.upload.file_id)
        try:
            status = Path(str(self.path)).stat()
        except OSError:
            return ("path", str(self.path))
        return ("path", str(self.path), status.st_mtime_ns, status.st_size)

    @contextmanager
    def opened(self) -> Generator[Path]:
        """The file's path; an upload is one for as long as this lasts."""
        if self.upload is None:
            yield Path(str(self.path))
            return
        from analysis.exchange.importing import stored_upload

        with stored_upload(self.upload, default_folder()) as path:
            yield path


def choose_file() -> Chosen:
    """The uploaded file, or the path that was typed; the page ends here without one."""
    upload = st.file_uploader(
        _("Checkpoint"),
        type=ENDINGS,
        key="import_file",
        help=_(
            "Read here, never executed: .pth, .pt, .th, .ckpt, .bin (torch.save) or .safetensors."
        ),
    )
    typed = st.text_input(
        _("Or a path on this machine"), key="import_path", placeholder="/data/resnet56.th"
    ).strip()
    if upload is not None:
        return Chosen(upload.name, upload, None)
    if typed:
        path = Path(typed).expanduser()
        return Chosen(path.name, None, path)
    st.info(
        _(
            "ResNets, plain and pre-activation nets of any repository, and runs of your own are "
            "recognised by the order and shapes of their layers; nets of torchvision and timm by "
            "the names and shapes of their tensors. `python -m analysis import FILE` does the same."
        ),
        icon=":material/upload_file:",
    )
    return st.stop()


def choose_weights(found: Inspection) -> str | None:
    """Which of several sets of weights in the file; None: the only one, as in most."""
    if len(found.file.choices) < 2:
        return None
    return st.selectbox(
        _("Weights in the file"),
        found.file.choices,
        format_func=lambda name: name or _("the first level"),
        key="import_weights",
        help=_("Several nets are in it: an average over training (EMA), a student and its teacher"),
    )


def found_in(chosen: Chosen, net: str, weights: str | None = None) -> Inspection:
    """What the file holds; read once, not at each pass over the page.

    Raises:
        ImportRefused: not safe, not whole, or none of the families here.
    """
    key = (chosen.stamp, net, weights)
    known = st.session_state.get("import_found")
    if known is None or known[0] != key:
        with st.spinner(_("Reading and checking the file ..."), show_time=True):
            from analysis.exchange.importing import inspect

            with chosen.opened() as path:
                found = inspect(path, net or None, chosen.name, weights)
        slim = replace(found, file=replace(found.file, tensors={}))  # sessions don't hold weights
        known = st.session_state["import_found"] = (key, slim)
    return known[1]


def show_found(found: Inspection) -> None:
    """What the file holds and claims."""
    spec = found.net.spec
    st.success(messages.literal(str(found.summary)), title=_("Found {net}").format(net=spec.name))
    if found.claim:
        words = _("The file claims an error of {error:.2f} % ({key}).")
        if found.epoch:
            words = _("The file claims an error of {error:.2f} % ({key}), epoch {epoch}.")
        key = messages.literal(found.claim.key)
        st.caption(words.format(error=found.claim.error, key=key, epoch=found.epoch))
    for note in found.notes:
        st.caption(messages.literal(str(note)))


def choose_normalization(found: Inspection) -> str | None:
    """A name of the list, six numbers typed in, or None: the file's own, or what images tell."""
    from analysis.exchange.importing import NORMALIZATIONS

    names = [OPEN, *NORMALIZATIONS, TYPED]
    labels = {name: f"{name}: {n.mean} / {n.std}" for name, n in NORMALIZATIONS.items()}
    labels |= {TYPED: _("Type it in"), OPEN: _("Not known: images tell, or it stays open")}
    if found.normalizer is not None or found.said:
        labels[OPEN] = _("Its own, from the file")
    chosen = st.selectbox(
        _("Normalization of its input"),
        names,
        format_func=labels.__getitem__,
        help=_(
            "(pixel - mean) / standard deviation, of pixels in 0..1, for red, green, blue. A wrong "
            "one ruins accuracy silently. With images, all of these are tried."
        ),
    )
    if chosen in NORMALIZATIONS:
        st.caption(_("Used by {who}.").format(who=NORMALIZATIONS[chosen].used_by))
    elif chosen == OPEN and found.usual and labels[OPEN] != _("Its own, from the file"):
        words = _("{who} uses {name}.")
        st.caption(words.format(who=found.net.layout.title, name=found.usual))
    if chosen != TYPED:
        return chosen or None
    return st.text_input(
        _("Mean / standard deviation"), key="import_typed", placeholder="0.49,0.48,0.45/0.2,0.2,0.2"
    )


@contextmanager
def shown_progress() -> Generator[Callable[[object, int, int], None]]:
    """A bar with the step that an import is at, gone at the end."""
    bar = st.progress(0.0, _("Reading and checking the file ..."))
    try:

        def tell(what: object, done: int, total: int) -> None:
            bar.progress(min(done / max(total, 1), 1.0), messages.literal(str(what)))

        yield tell
    finally:
        bar.empty()


def show_result(result: Imported) -> None:
    """The run, its error beside the claim, every warning, and its layer responses."""
    run, found = result.run, result.inspection
    st.success(_("Imported as {run}").format(run=run.id), icon=":material/check_circle:")
    columns = st.columns(3)
    columns[0].metric(_("Tensors used"), len(found.net.keys))
    claimed = f"{found.claim.error:.2f} %" if found.claim else _("none")
    columns[1].metric(_("Error that the file claims"), claimed)
    if result.measured:
        label = _("Error measured over {n:,} images").format(n=result.measured.n_images)
        columns[2].metric(label, f"{result.measured.error:.2f} %")
    for warning in result.warnings:
        st.warning(messages.literal(str(warning)))
    for note in result.notes:
        if note not in found.notes:  # those are above already
            st.caption(messages.literal(str(note)))
    _show_responses(run)


def _show_responses(run: Run) -> None:
    info = figures.responses_info([run])
    reading = _(
        "An imported net has no training history. Its layer responses are there at once: in "
        "closed form from the weights alone, and measured where data were given."
    )
    figure = figures.plot_responses(info)
    shown = figures.conditions([run])
    show.figure(figure, info, "import_responses", reading, conditions=shown)
    st.page_link(
        Path(__file__).parents[1] / "evidence" / "compare.py",
        label=_("Open it in Compare"),
        icon=":material/compare_arrows:",
        query_params={"compare_runs": pickers.link_names([run])},
    )
