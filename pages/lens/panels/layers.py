"""Activations: a map of the net to click on, a layer's channels, a block's parts, stages' best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from analysis import formats
from analysis.figures import images, run_styles
from analysis.figures.inspect import plot_tiles
from analysis.figures.netmap import netmap_info, plot_netmap
from analysis.lens import asking
from analysis.lens.answers import channel_table, mapped_layers
from analysis.runs import Run
from analysis.specs import NetSpec
from analysis.specs.plan import blocks, layers
from analysis.text import _
from pages.common import messages, show, state
from pages.lens.panels.chooser import Subject


def show_panel(runs: Sequence[Run], subject: Subject, probes: dict[str, Any]) -> None:
    """One net's map and layer, the block's parts; then all nets side by side, stage by stage."""
    run = pick_run(runs, "image_net")
    block = _pick_block(run, probes[run.id])
    if block != "stem":
        _parts(run, subject, block)
    _layer(run, block, subject)
    st.markdown(f"##### {_('From low-level to high-level features')}")
    names = {style.run: style.label for style in run_styles(runs)}
    for one, place in zip(runs, st.columns(len(runs), gap="medium"), strict=True):
        with place:
            if len(runs) > 1:
                st.markdown(f"**{messages.literal(names[one.id])}**")
            _stages(one, subject)
    st.caption(_("The channels that vary most after each stage's last block, strongest first."))


def pick_run(runs: Sequence[Run], key: str) -> Run:
    """One of the runs that are inspected."""
    if len(runs) == 1:
        return runs[0]
    chosen = state.choose(key, _("Net"), messages.shown_names(runs))
    return next(run for run in runs if run.id == chosen)


def _pick_block(run: Run, probe: Any) -> str:
    """By a click on the map or with the keyboard in the list; both are one state."""
    stds = probe.responses.set_index("layer")["std"]
    main = [layer for layer in layers(run.config.net) if layer.role in ("stem", "main")]
    values = {layer.block_name: float(stds.get(layer.name, np.nan)) for layer in main}
    key = f"image_block_{run.net}"
    names = list(values)
    if st.session_state.get(key) not in names:
        st.session_state[key] = _first_block(run.config.net)
    info = netmap_info(run.config.net, values)
    chart = f"image_map_{run.id}"
    style = run_styles([run])[0]
    figure = plot_netmap(
        info, style.colour, st.session_state[key], _("response of the block's last layer")
    )

    def clicked() -> None:
        points = st.session_state[chart]["selection"]["points"]
        if points:
            st.session_state[key] = points[0]["customdata"][0]

    show.chart(
        figure, chart, on_select=clicked, selection_mode="points",
        config={"displayModeBar": False}, alt=_("Map of the net's blocks"),
    )  # fmt: skip
    return st.selectbox(_("Block (or click it above)"), names, key=key)


def _first_block(net: NetSpec) -> str:
    """The last one whose maps are large enough to see something in: of the second stage."""
    return [block for block in blocks(net) if block.stage <= 2][-1].name


def _parts(run: Run, subject: Subject, block: str) -> None:
    parts = asking.ask("activations.block_parts", run, subject.pixels, block)
    if not parts.info.x:
        shown = {_("F(x): the block's last BN"): parts.f, _("ReLU(F(x)): the output"): parts.out}
        note = _("A plain block: its output is F(x) alone, it has no shortcut.")
    else:
        shown = {
            _("x: the shortcut's output"): parts.x,
            _("F(x): the refinement"): parts.f,
        }
        if parts.info.last_relu:
            shown |= {_("x + F(x)"): parts.total, _("ReLU(x + F(x)): the output"): parts.out}
        else:
            shown[_("x + F(x): the output")] = parts.out
        note = _(
            "The refinement's size is rms(F) / rms(x) = **{ratio:.2f}**; the cosine of x and "
            "x + F(x) is **{cosine:.2f}**: 1 would be a block that changes no direction."
        ).format(ratio=parts.ratio, cosine=parts.cosine)
    st.markdown(f"##### {_('What the block adds')}")
    limit, scale = images.limit_of(*shown.values()), images.scale_of(*shown.values())
    for (title, maps), column in zip(shown.items(), st.columns(len(shown)), strict=True):
        tiles = images.tile(maps, limit, scale, least=240)
        column.image(tiles.pixels, caption=title, alt=title, output_format="PNG")
    st.caption(note + " " + _scale_words(limit, scale))


def _scale_words(limit: float, scale: images.Scale) -> str:
    if scale == "signed":
        return _("One scale: blue \u2212{limit:.2g}, white 0, red {limit:.2g}.").format(limit=limit)
    return _("One scale: black 0, bright {limit:.2g}.").format(limit=limit)


def _layer(run: Run, block: str, subject: Subject) -> None:
    mapped = mapped_layers(run.config.net)
    names = [layer.name for layer in mapped if layer.block_name == block]
    with state.row():
        name = st.segmented_control(
            _("Layer"), names, default=names[-1], required=True, key=f"image_layer_{block}",
            format_func=lambda full: full.removeprefix(f"{block}."),
        ) or names[-1]  # fmt: skip
        when = state.choose("image_when", _("Show"), {
            "after": _("After ReLU"), "before": _("Before ReLU")})  # fmt: skip
        sort = state.choose("image_sort", _("Sort by"), {
            "std": _("Std"), "mean": _("Mean"), "channel": _("Channel")})  # fmt: skip
    found = asking.ask("activations.layer_maps", run, subject.pixels, name)
    if found.layer.preactivated:
        st.caption(
            _("A pre-activation layer: its BN and ReLU stand before it, so this is its input.")
        )
    maps = found.after if when == "after" else found.before
    table = channel_table(maps).sort_values(sort, ascending=sort == "channel", kind="stable")
    order = table["channel"].to_numpy()
    limit, scale = images.limit_of(maps), images.scale_of(maps)
    tiles = images.tile(maps[order], limit, scale, least=640)
    labels = [
        _("channel {channel}: std {std}, mean {mean}").format(
            channel=int(row["channel"]),
            std=formats.response(row["std"]),
            mean=formats.response(row["mean"]),
        )
        for row in table.to_dict("records")
    ]
    grid, one = st.columns([3, 2], gap="medium")
    with grid:
        channel = _pick_channel(run, name, tiles, labels, order)
        st.session_state["image_looked_at"] = run.id, name, channel
        st.caption(_scale_words(limit, scale) + " " + _("Click a channel to enlarge it."))
    with one:
        opacity = st.slider(_("Opacity (%)"), 0, 100, 70, key="image_opacity") / 100
        over = images.overlaid(subject.pixels, maps[channel], opacity, scale, limit)
        words = _("Channel {channel} of {layer} over the image").format(channel=channel, layer=name)
        enlarged = images.enlarged(over, max(320 // len(over), 1))
        st.image(enlarged, caption=words, alt=words, output_format="PNG")
    with st.expander(_("The channels' numbers")):
        show.table(_named(table), "image_channels", _("Over one image's positions."))


def _named(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(
        columns={
            "channel": _("Channel"),
            "mean": _("Mean"),
            "std": _("Std"),
            "min": _("Smallest"),
            "max": _("Largest"),
            "positive_percent": _("Above zero (%)"),
        }
    )


def _pick_channel(
    run: Run, layer: str, tiles: images.Tiles, labels: list[str], order: np.ndarray
) -> int:
    """By a click on the grid or in the list; both are one state."""
    key, chart = f"image_channel_{run.net}_{layer}", f"image_grid_{run.id}"
    channels = [int(channel) for channel in order]
    if st.session_state.get(key) not in channels:
        st.session_state[key] = channels[0]

    def clicked() -> None:
        points = st.session_state[chart]["selection"]["points"]
        if points:
            st.session_state[key] = channels[points[0]["point_index"]]

    title = _("{layer}: {count} channels").format(layer=layer, count=len(channels))
    show.chart(
        plot_tiles(tiles.pixels, tiles.centres, labels, title), chart, on_select=clicked,
        selection_mode="points", config={"displayModeBar": False}, alt=title,
    )  # fmt: skip
    return st.selectbox(_("Channel (or click it)"), channels, key=key)


def _stages(run: Run, subject: Subject) -> None:
    for row in asking.ask("activations.strongest_channels", run, subject.pixels):
        scale = images.scale_of(row.maps)
        pixels = images.tile(row.maps, images.limit_of(row.maps), scale, 8, 720).pixels
        words = _("Stage {stage}, channels {channels}").format(
            stage=row.stage, channels=", ".join(str(channel) for channel in row.channels)
        )
        st.image(pixels, caption=words, alt=words, output_format="PNG")
