"""Where the nets look: captum's methods side by side, for several nets, with their failings."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from analysis import formats
from analysis.figures import images, run_styles
from analysis.figures.inspect import plot_sanity
from analysis.lens import asking
from analysis.lens.answers import layered, patch
from analysis.runs import Run
from analysis.specs import plan
from analysis.text import _
from pages.common import cached, messages, show, state
from pages.lens.panels import nets
from pages.lens.panels.chooser import Subject
from pages.lens.panels.forming import pick_class


@dataclass(frozen=True)
class Place:
    """How deep to look, as a part of the net, since nets differ in depth."""

    share: float
    """0: the first, 1: the last."""
    layers: bool = False
    """Of the layers (their BN outputs), rather than of the blocks (their outputs)."""


def titles() -> dict[str, str]:
    """What the methods are called."""
    return {
        "saliency": _("Saliency"),
        "integrated_gradients": _("Integrated Gradients"),
        "grad_cam": _("Grad-CAM"),
        "guided_grad_cam": _("Guided Grad-CAM"),
        "occlusion": _("Occlusion"),
        "layer_conductance": _("Layer Conductance"),
    }


def notes(size: int) -> dict[str, str]:
    """What each shows, and where it misleads.

    Args:
        size: of the images, in pixels.
    """
    return {
        "saliency": _(
            "How much the class's score would change for a tiny change of each pixel (Simonyan et "
            "al. 2014). Noisy; says what the score is sensitive to, not what it rests on."
        ),
        "integrated_gradients": _(
            "Gradients summed on the way from the mean image to this one (Sundararajan et al. "
            "2017). The values add up to the score's difference, up to an error, delta. Red speaks "
            "for the class, blue against. Depends on the baseline: pixels like the mean get none."
        ),
        "grad_cam": _(
            "Where the chosen layer's channels that favour the class are active (Selvaraju et al. "
            "2017). As coarse as the layer's map: 4 x 4 or 8 x 8 at the end; evidence against the "
            "class is cut off."
        ),
        "guided_grad_cam": _(
            "Grad-CAM times guided backpropagation: sharp, but the sharpness is mostly the image's "
            "edges, and hardly changes when the net is randomised (Adebayo et al. 2018)."
        ),
        "occlusion": _(
            "How much the score falls when a patch of {side} x {side} pixels is set to the mean "
            "image (Zeiler and Fergus 2014). Needs no gradients; but no net was trained on images "
            "with patches."
        ).format(side=patch(size)[0]),
        "layer_conductance": _(
            "Integrated Gradients through the chosen layer (Dhamdhere et al. 2018), summed over "
            "its channels. Adds up as they do; as coarse as the layer's map."
        ),
    }


def show_panel(runs: Sequence[Run], subject: Subject, probes: dict[str, Any]) -> None:
    """A row a net, a column a method."""
    with state.row():
        target = pick_class(runs, probes, "image_target")
        opacity = st.slider(_("Opacity (%)"), 0, 100, 75, key="image_over") / 100
        place = _pick_place()
    methods = st.pills(
        _("Methods"), list(titles()), default=["integrated_gradients", "grad_cam", "occlusion"],
        selection_mode="multi", format_func=titles().__getitem__, key="image_methods",
        bind=state.URL,
    )  # fmt: skip
    if not methods:
        st.info(_("Choose a method."))
        return
    labels = {style.run: style.label for style in run_styles(runs)}
    for run in runs:
        st.markdown(f"**{messages.literal(labels[run.id])}**")
        for method, column in zip(methods, st.columns(len(methods)), strict=True):
            with column:
                _one(run, subject, target, method, place, opacity)
    said = notes(subject.pixels.shape[1])
    for method in methods:
        st.caption(f"**{titles()[method]}.** {said[method]}")
    st.download_button(
        _("These maps (.npz)"),
        lambda: maps_file(runs, subject, target, methods, place),
        file_name="attribution.npz",
        key="image_maps",
        on_click="ignore",
    )
    _sanity(runs, subject, target, methods, place)


def maps_file(
    runs: Sequence[Run], subject: Subject, target: int, methods: Sequence[str], place: Place
) -> bytes:
    """An .npz: `pixels`, the class's name, and each map float32 (H, W) under run/method/layer."""
    arrays = {"pixels": subject.pixels, "target": np.array(nets.classes_of(runs[0])[target])}
    for run in runs:
        for method in methods:
            found, layer = _attributed(run, subject, target, method, place)
            name = "/".join(part for part in (run.id, method, layer) if part)
            arrays[name] = found.values.astype(np.float32)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore
    return buffer.getvalue()


def _attributed(
    run: Run, subject: Subject, target: int, method: str, place: Place
) -> tuple[Any, str]:
    """The attribution, and the layer it looks at, if any."""
    layer = _layer_at(run, place) if layered(method) else ""
    return cached.answer("attribution.attribute", run, subject.pixels, target, method, layer), layer


def _pick_place() -> Place:
    """Where Grad-CAM and conductance look."""
    kinds = {"block": _("Blocks"), "layer": _("Layers")}
    kind = state.choose(
        "image_place_kind", _("Look at"), kinds,
        _("For Grad-CAM and conductance: a block's output, or a single layer's BN output."),
    )  # fmt: skip
    # Half a percent reaches each of ResNet-110's 109 layers.
    share = st.slider(
        _("Depth of the layer (%)"), 0.0, 100.0, 100.0, 0.5, key="image_place", format="%.1f",
        help=_("For Grad-CAM and conductance: 0 is the first one, 100 the last."),
    ) / 100  # fmt: skip
    return Place(share, layers=kind == "layer")


def _layer_at(run: Run, place: Place) -> str:
    net = run.config.net
    if place.layers:
        found = [layer.maps for layer in plan.layers(net) if layer.role in ("stem", "main")]
    else:
        found = [block.name for block in plan.blocks(net)]
    return found[round(place.share * (len(found) - 1))]


def _one(
    run: Run, subject: Subject, target: int, method: str, place: Place, opacity: float
) -> None:
    found, layer = _attributed(run, subject, target, method, place)
    scale: images.Scale = "signed" if found.signed else "positive"
    over = images.overlaid(subject.pixels, found.values, opacity, scale)
    words = [titles()[method]]
    if layer:
        words.append(layer)
    if found.delta is not None:
        words.append(
            _("sum {total}, delta {delta}").format(
                total=formats.number(found.total, 2), delta=formats.small(found.delta)
            )
        )
    large = images.enlarged(over, max(256 // len(over), 1))
    said = ", ".join(words)
    st.image(large, caption=said, alt=said, width=256, output_format="PNG")


def _sanity(
    runs: Sequence[Run], subject: Subject, target: int, methods: list[str], place: Place
) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = st.selectbox(
            _("Sanity check of"), methods, format_func=titles().__getitem__, key="image_sanity"
        )
        wanted = st.toggle(
            _("Randomise the nets' weights, layer by layer"), key="image_sanity_on",
            help=_("Adebayo et al. 2018: a map that stays the same says nothing of learning."),
        )  # fmt: skip
    if not wanted or method is None:
        return
    for run, style in zip(runs, run_styles(runs), strict=True):
        layer = _layer_at(run, place) if layered(method) else ""
        table, maps = asking.ask(
            "attribution.sanity_check", run, subject.pixels, target, method, layer
        )
        st.markdown(f"**{messages.literal(style.label)}**")
        scale: images.Scale = "signed" if maps[0].signed else "positive"
        pictures = [
            images.enlarged(images.coloured(m.values, images.limit_of(m.values), scale), 4)
            for m in maps
        ]
        words = _("Trained, then progressively re-initialised")
        st.image(images.row_of(pictures), caption=words, alt=words, output_format="PNG")
        reading = _("Close to 1: the map is the same without what was learned, so beware of it.")
        show.figure(plot_sanity(table, style), table, f"image_sanity_{style.run}", reading)
