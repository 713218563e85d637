"""x, F(x) and their sum in one block for one picture, and where in it the block still works."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from analysis.figures import images
from analysis.lens import asking
from analysis.runs import Run
from analysis.text import _
from pages.common import classroom, messages, state
from pages.lens.panels.chooser import Subject
from pages.lens.panels.layers import pick_run

_INSPECT = Path(__file__).parents[2] / "lens" / "image.py"


@messages.fragment
@classroom.at_work()
def maps(runs: Sequence[Run], subject: Subject) -> None:
    """A block's parts as maps on one scale, and the ratio at each position over the picture."""
    from analysis.specs.plan import blocks

    residual = [run for run in runs if run.config.net.traits.has_shortcuts]
    if not residual:
        return
    drawn = st.container()
    with state.row():
        run = pick_run(residual, "refinements_net")
        names = [info.name for info in blocks(run.config.net)]
        name = st.select_slider(
            _("Block"), names, value=names[len(names) // 2], key=f"refinements_block_{run.net}",
            width=400,
        )  # fmt: skip
    parts = asking.ask("activations.block_parts", run, subject.pixels, name)
    shown = {
        _("x: the shortcut's output"): parts.x,
        _("F(x): the refinement"): parts.f,
        _("x + F(x)"): parts.total,
    }
    ratios = parts.ratio_map
    with drawn:
        words = _(
            "{block} of {net} changes this picture by {percent:.0f} %; most at row {row} of "
            "{height}, column {column} of {width}."
        )
        row, column = np.unravel_index(int(np.nanargmax(ratios)), ratios.shape)
        st.markdown(
            "**" + words.format(
                block=name, net=run.net, percent=100 * parts.ratio,
                row=row + 1, column=column + 1, height=ratios.shape[0], width=ratios.shape[1],
            ) + "**"
        )  # fmt: skip
        limit, scale = images.limit_of(*shown.values()), images.scale_of(*shown.values())
        columns = st.columns(4)
        for (title, values), place in zip(shown.items(), columns[:3], strict=True):
            tiles = images.tile(values, limit, scale, least=240)
            place.image(tiles.pixels, caption=title, alt=title, output_format="PNG")
        bright = max(float(np.nanquantile(ratios, 0.95)), 1e-12)  # x is all but zero at some
        over = images.overlaid(subject.pixels, ratios, 0.75, "positive", bright)
        title = _("Ratio by position: bright {limit:.2g} and more").format(limit=bright)
        pixels = images.enlarged(over, max(320 // len(over), 1))
        columns[3].image(pixels, caption=title, alt=title, output_format="PNG")
        st.caption(_("The three maps have one scale: every channel of x, of F(x), of their sum."))
    st.page_link(_INSPECT, label=_("Inspect an image"), icon=":material/image_search:")
