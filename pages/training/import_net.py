"""Page "Bring your own net": a checkpoint in, what was found, its normalization and data, a run.

A description of the page; reading, recognising and checking are `exchange.importing`'s. torch is
loaded once there is a file to read, so that the page is there before.
"""

from __future__ import annotations

import streamlit as st

from analysis.errors import LensError, UnknownNet
from analysis.runs import default_folder
from analysis.specs import DataSpec
from analysis.text import _
from pages.common import messages
from pages.training import checkpoint, library_net

st.title(_("Bring your own net"))
chosen = checkpoint.choose_file()
net = st.text_input(
    _("Name of the net, if keys can't tell"),
    key="import_net",
    placeholder="plain-20",
    help=_("Keys don't tell a plain net from one with option A: say plain-20 or resnet-20."),
).strip()
try:
    found = checkpoint.found_in(chosen, net)
    weights = checkpoint.choose_weights(found)
    if weights is not None:
        found = checkpoint.found_in(chosen, net, weights)
except UnknownNet as error:
    library_net.offer(chosen, error)
    st.stop()
except LensError as error:
    st.error(messages.literal(str(error)), title=_("Refused"), icon=":material/block:")
    st.stop()
checkpoint.show_found(found)
normalization = checkpoint.choose_normalization(found)
# A form: leaving a text field would else start a pass over the page just as the button is pressed.
with st.form("import_form", border=False):
    left, right = st.columns([3, 1])
    data = left.text_input(
        _("Images to measure its error on (optional)"),
        key="import_data",
        placeholder="cifar10, cifar100, digits, folder:PATH",
    ).strip()
    images = right.selectbox(
        _("Test images"), [1000, 10_000], format_func=lambda n: f"{n:,}", key="import_images"
    )
    asked = st.form_submit_button(_("Import"), type="primary", key="import_go")
if asked:
    from analysis.exchange.importing import import_checkpoint

    try:
        with checkpoint.shown_progress() as progress, chosen.opened() as path:
            result = import_checkpoint(
                path,
                default_folder(),
                net=net or None,
                normalization=normalization,
                data=DataSpec.parse(data) if data else None,
                test_images=images,
                weights=weights,
                name=chosen.name,
                progress=progress,
            )
    except LensError as error:
        st.error(messages.literal(str(error)), title=_("Refused"), icon=":material/block:")
    else:
        checkpoint.show_result(result)
