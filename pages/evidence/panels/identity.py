"""Fitting the identity, live: plain against residual layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from analysis.errors import DataError, LensError
from analysis.figures import identity
from analysis.runs import Run
from analysis.text import _
from pages.common import messages, show, state

if TYPE_CHECKING:
    from analysis.construct.identity import Fit

_DONE = "argument_fit"


@messages.fragment
def fitting(group: Sequence[Run]) -> None:
    """Controls, the fit while it runs, and the last one's figures.

    Args:
        group: runs whose images can be the inputs.
    """
    with st.expander(_("Fit it here"), icon=":material/experiment:"):
        task = _controls()
        pressed = st.button(_("Fit"), icon=":material/play_arrow:", type="primary")
    if pressed:
        _fit(task, group)
    done = st.session_state.get(_DONE)
    if done:
        _show(*done)


def _controls() -> dict[str, Any]:
    """The fields of an IdentityTask as chosen."""
    with state.row():
        chosen: dict[str, Any] = {
            "layers": int(st.number_input(_("Layers"), 2, 64, 8, 2)),
            "width": int(st.number_input(_("Width (channels)"), 1, 256, 16, 4)),
            "steps": int(st.number_input(_("Steps"), 50, 5000, 500, 50)),
            "lr": st.number_input(_("Learning rate"), 0.0001, 10.0, 0.05, format="%.4f"),
            "optimizer": st.selectbox(_("Optimiser"), ["sgd", "adam"], width=120),
            "perturbation": st.number_input(
                _("Perturbation"), 0.0, 10.0, 0.0, 0.05,
                help=_("rms of H(x) - x over rms of x: 0 is the identity itself."),
            ),
            "seed": int(st.number_input(_("Seed"), 0, 10_000, 0, key="argument_fit_seed")),
        }  # fmt: skip
    words = {"random": _("Random numbers"), "images": _("Real images")}
    with state.row():
        chosen["inputs"] = st.segmented_control(
            _("Inputs"), list(words), default="random", required=True,
            format_func=words.__getitem__, key="argument_inputs",
            help=_("Real: crops of images through a random 3x3 layer, as a net's first would."),
        )  # fmt: skip
        chosen["signed"] = st.toggle(
            _("Signed inputs"), False, help=_("Both signs, or none below 0, as after a ReLU.")
        )
        chosen["bn"], chosen["relu"] = st.toggle("BN", True), st.toggle("ReLU", True)
    return chosen


def _fit(chosen: dict[str, Any], group: Sequence[Run]) -> None:
    from analysis.construct.identity import IdentityTask, fit_identity

    place = st.empty()
    try:
        task = IdentityTask(**chosen)
        images, source = (None, "") if task.inputs == "random" else _images(group)

        def draw(step: int, fit: Fit) -> None:
            with place.container():
                _figures(fit, task.steps, f"argument_live_{step}")

        fit = fit_identity(task, draw, images=images)
    except LensError as error:
        st.error(messages.literal(str(error)))
        return
    finally:
        place.empty()
    st.session_state[_DONE] = (fit, task.steps, source)


def _images(group: Sequence[Run]) -> tuple[Any, str]:
    """Training images of the runs' data set where they are here, else None for the samples."""
    from analysis.data import load_images

    run = next((run for run in group if run.has_images), None)
    if run is not None:
        try:
            return load_images(run.config.data_here).train, run.data_title  # ty: ignore[invalid-argument-type]
        except DataError as error:
            st.warning(messages.literal(str(error)))
    return None, _("bundled photographs")


def _figures(fit: Fit, steps: int, key: str) -> None:
    """All three while it runs, without downloads."""
    st.plotly_chart(identity.plot_losses(fit.losses, fit.floor, steps), key=f"{key}_loss")
    columns = ("gradient_norm", "dirac_distance")
    for place, column in zip(st.columns(2), columns, strict=True):
        place.plotly_chart(identity.plot_layers(fit.layers, column), key=f"{key}_{column}")


def _show(fit: Fit, steps: int, source: str) -> None:
    reading = _(
        "An all-zero output has loss 1. The residual net has only to bring F to 0; the plain "
        "one has to find kernels that copy (section 3.1)."
    )
    if source:
        reading += " " + _("Inputs: crops of {data}.").format(data=messages.literal(source))
    drawn = identity.plot_losses(fit.losses, fit.floor, steps)
    show.figure(drawn, fit.losses, "argument_loss", reading)
    readings = {
        "gradient_norm": _("First and last step; a net's layers from input to output."),
        "dirac_distance": _(
            "First and last step. 0: a Dirac kernel up to scale, 1: no identity component."
        ),
    }  # fmt: skip
    for place, column in zip(st.columns(2), readings, strict=True):
        with place:
            figure = identity.plot_layers(fit.layers, column)
            show.figure(figure, _layers(fit), f"argument_{column}", readings[column])


def _layers(fit: Fit) -> pd.DataFrame:
    return fit.layers
