"""Page "Bring your own net": a checkpoint in, what was found, its normalization and data, a run.

A description of the page; reading, recognising and checking are `analysis.importing`'s.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import streamlit as st

from analysis.errors import LensError
from analysis.importing import (
    NORMALIZATIONS,
    Imported,
    Inspection,
    import_checkpoint,
    inspect,
    stored_upload,
)
from analysis.importing.archives import FORMATS
from analysis.runs import default_folder
from analysis.spec import DataSpec
from analysis.text import _

NO_DATA, TYPED, OWN = "", "typed", ""


def choose_file(stack: ExitStack) -> tuple[Path, str]:
    """The uploaded file, or the path that was typed; the page ends here without one."""
    upload = st.file_uploader(
        _("Checkpoint"),
        type=["pth", "pt", "th", "ckpt", "bin", "safetensors"],
        max_upload_size=1024,
        key="import_file",
        help=_("Read here, never executed: {formats}.").format(formats=FORMATS),
    )
    typed = st.text_input(
        _("Or a path on this machine"), key="import_path", placeholder="/data/resnet56.th"
    ).strip()
    if upload is not None:
        return stack.enter_context(stored_upload(upload, default_folder())), upload.name
    if typed:
        path = Path(typed).expanduser()
        return path, path.name
    st.info(
        _(
            "ResNets of akamaster, chenyaofo, kuangliu, weiaicunzai, torchvision and timm, their "
            "plain counterparts, and runs of your own are recognised by the names and shapes of "
            "their tensors. `python -m analysis import FILE` does the same."
        ),
        icon=":material/upload_file:",
    )
    return st.stop()


def show_found(found: Inspection) -> None:
    """What the file holds and claims."""
    spec = found.net.spec
    st.success(found.summary, title=_("Found {net}").format(net=spec.name))
    if found.claim:
        words = _("The file claims an error of {error:.2f} % ({key}), epoch {epoch}.")
        st.caption(words.format(error=found.claim.error, key=found.claim.key, epoch=found.epoch))
    for note in found.net.notes:
        st.caption(note)


def choose_normalization(found: Inspection) -> str | None:
    """A name of the list, six numbers typed in, or None for the file's own."""
    own = [OWN] if found.normalizer is not None else []
    names = [*own, *NORMALIZATIONS, TYPED]
    labels = {name: f"{name}: {n.mean} / {n.std}" for name, n in NORMALIZATIONS.items()}
    labels |= {TYPED: _("Type it in"), OWN: _("Its own, from the file")}
    suggested = found.suggestion if found.suggestion in names else None
    chosen = st.selectbox(
        _("Normalization of its input"),
        names,
        index=0 if own else (names.index(suggested) if suggested else None),
        format_func=labels.__getitem__,
        placeholder=_("Choose one: a wrong one ruins accuracy silently"),
        help=_("(pixel - mean) / standard deviation, of pixels in 0..1, for red, green, blue"),
    )
    if chosen in NORMALIZATIONS:
        st.caption(_("Used by {who}.").format(who=NORMALIZATIONS[chosen].used_by))
    if chosen != TYPED:
        return chosen or None
    return st.text_input(
        _("Mean / standard deviation"), key="import_typed", placeholder="0.49,0.48,0.45/0.2,0.2,0.2"
    )


def show_result(result: Imported) -> None:
    """The run, its error beside the claim, and every warning."""
    run, found = result.run, result.inspection
    st.success(_("Imported as {run}").format(run=run.id), icon=":material/check_circle:")
    columns = st.columns(3)
    columns[0].metric(_("Tensors used"), len(found.net.keys))
    claimed = f"{found.claim.error:.2f} %" if found.claim else _("not said")
    columns[1].metric(_("Error that the file claims"), claimed)
    if result.measured:
        label = _("Error measured over {n:,} images").format(n=result.measured.n_images)
        columns[2].metric(label, f"{result.measured.error:.2f} %")
    for warning in result.warnings:
        st.warning(warning)
    for note in run.config.origin["notes"]:
        st.caption(note)
    st.caption(
        _(
            "An imported net has no training history. Its layer responses are there at once: in "
            "closed form from the weights alone, and measured where data were given."
        )
    )
    responses = run.responses()
    st.line_chart(
        responses[responses["kernel"] == 3],
        x="order",
        y="std",
        color="source",
        x_label=_("Layer"),
        y_label=_("Std of the layer response"),
    )


st.title(_("Bring your own net"))
with ExitStack() as stack:
    path, name = choose_file(stack)
    net = st.text_input(
        _("Name of the net, if keys can't tell"),
        key="import_net",
        placeholder="plain-20",
        help=_("Keys don't tell a plain net from one with option A: say plain-20 or resnet-20."),
    ).strip()
    try:
        found = inspect(path, net or None, name)
    except LensError as error:
        st.error(str(error), title=_("Refused"), icon=":material/block:")
        st.stop()
    show_found(found)
    normalization = choose_normalization(found)
    left, right = st.columns([3, 1])
    data = left.text_input(
        _("Images to measure its error on (optional)"),
        key="import_data",
        placeholder="cifar10, cifar100, digits, folder:PATH",
    ).strip()
    images = right.selectbox(
        _("Test images"), [1000, 10_000], format_func=lambda n: f"{n:,}", key="import_images"
    )
    if st.button(_("Import"), type="primary", key="import_go"):
        try:
            with st.spinner(_("Importing and checking ...")):
                result = import_checkpoint(
                    path,
                    default_folder(),
                    net=net or None,
                    normalization=normalization,
                    data=DataSpec.parse(data) if data else None,
                    test_images=images,
                    name=name,
                )
        except LensError as error:
            st.error(str(error), title=_("Refused"), icon=":material/block:")
        else:
            show_result(result)
