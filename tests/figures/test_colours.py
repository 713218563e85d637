"""The palettes by number: told apart by any eye, read in both themes. No picture is looked at."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from analysis.figures.labels import End, axis_of, end_labels, glyph, spread
from analysis.figures.theme import _INK, PALETTES, RunStyle
from tests.figures.test_theme import PAGES, VISION, _contrast, _lab, _linear

USUAL = [f"{kind}-{depth}" for kind in ("plain", "resnet") for depth in (20, 32, 34, 44, 56, 110)]
SIGHT = ("normal", "protanope", "deuteranope")


def style(net: str) -> RunStyle:
    kind = "plain" if net.startswith("plain") else "residual"
    return RunStyle(net, net, kind, net, 0)


def apart(one: str, other: str) -> float:
    """The least distance in CIELAB over normal, protanopic and deuteranopic sight."""
    return min(
        float(np.linalg.norm(np.subtract(*(_lab(VISION[v] @ _linear(c)) for c in (one, other)))))
        for v in SIGHT
    )


@pytest.mark.parametrize("palette", PALETTES)
def test_depths_of_a_kind_differ_by_colour_for_every_eye(palette: str):
    """Delta E of 15 and more between any two shades of a palette."""
    distances = {pair: apart(*pair) for pair in combinations(PALETTES[palette], 2)}
    assert min(distances.values()) >= 15, min(distances, key=lambda pair: distances[pair])


@pytest.mark.parametrize("palette", PALETTES)
def test_lightness_runs_with_depth(palette: str):
    """Shallow nets are lighter than deep ones."""
    lightness = [_lab(_linear(colour))[0] for colour in PALETTES[palette]]
    assert np.corrcoef(np.arange(len(lightness)), lightness)[0, 1] < -0.85
    assert min(lightness[:3]) > max(lightness[4:])


@pytest.mark.parametrize(("one", "other"), list(combinations(USUAL, 2)))
def test_the_usual_nets_are_told_apart(one: str, other: str):
    """By colour, or by the marker and by the label at the line's end."""
    a, b = style(one), style(other)
    assert apart(a.colour, b.colour) >= 15 or (a.symbol != b.symbol and glyph(a) != glyph(b))
    ends = [End(a, 1, 0.5, a.label), End(b, 1, 0.5, b.label)]
    notes = end_labels(ends, axis_of([0, 1], "linear"), 200)
    assert len({note["text"] for note in notes}) == 2
    assert abs(notes[0]["y"] - notes[1]["y"]) * 200 >= 14.9


@pytest.mark.parametrize("page", PAGES)
def test_marks_of_every_palette_are_seen(page: str):
    """WCAG asks 3:1 of graphical objects."""
    for palette in PALETTES.values():
        for colour in palette:
            assert _contrast(colour, PAGES[page]) >= 3


@pytest.mark.parametrize("mode", ["light", "dark", "print"])
def test_text_of_figures_is_read_and_axes_are_seen(mode: str):
    """4.5:1 for words, 3:1 for the axes' lines; the figure's page is the app's."""
    ink = _INK[mode]
    assert ink["page"] == PAGES["dark" if mode == "dark" else "light"]
    assert _contrast(ink["text"], ink["page"]) >= 4.5
    assert _contrast(ink["axis"], ink["page"]) >= 3


def test_names_are_moved_as_little_as_needed():
    """Alone they stay; touching ones part around their middle; none leaves the panel."""
    assert spread([0.2, 0.8], 0.1) == [0.2, 0.8]
    assert spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])
    assert spread([0.0, 0.01, 0.02], 0.1) == pytest.approx([0.0, 0.1, 0.2])
    assert spread([0.99, 1.0], 0.1) == pytest.approx([0.9, 1.0])
