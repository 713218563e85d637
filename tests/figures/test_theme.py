"""Colours by net, labels, templates. pytest tests/figures/test_theme.py"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from analysis.figures import (
    conditions,
    empty_figure,
    error_curves_info,
    plot_error_curves,
    restyle,
    run_styles,
)
from analysis.figures.theme import COLOURS, TEMPLATES, net_colour, sign
from analysis.runs import load_run
from analysis.specs import KINDS, Recipe
from tests.tiny import write_run

PAGES = {"light": "#ffffff", "dark": "#171614"}

# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear sRGB.
VISION = {
    "normal": np.eye(3),
    "protanope": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranope": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanope": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip


def _linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _contrast(one: str, other: str) -> float:
    """WCAG 2's ratio of relative luminances."""
    dark, light = sorted(_linear(c) @ [0.2126, 0.7152, 0.0722] for c in (one, other))
    return (light + 0.05) / (dark + 0.05)


def _lab(linear: np.ndarray) -> np.ndarray:
    """CIELAB under D65."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ np.clip(linear, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("page", list(PAGES.values()), ids=list(PAGES))
@pytest.mark.parametrize("colour", [colour for shades in COLOURS.values() for colour in shades])
def test_every_colour_is_seen_on_both_pages(colour: str, page: str):
    """WCAG asks 3:1 of graphical objects."""
    assert _contrast(colour, page) >= 3


@pytest.mark.parametrize("vision", list(VISION))
@pytest.mark.parametrize("shade", range(6))
@pytest.mark.parametrize("kinds", list(combinations(KINDS, 2)), ids="-".join)
def test_nets_of_equal_depth_differ_for_every_eye(vision: str, shade: int, kinds: tuple):
    """A CIELAB distance of 20 and more between the kinds at one depth: seen at a glance."""
    one, other = (_lab(VISION[vision] @ _linear(COLOURS[kind][shade])) for kind in kinds)
    assert np.linalg.norm(one - other) >= 20


def test_the_papers_nets_have_a_colour_of_their_own():
    """No two of the nets of Fig. 6 and 7 and of the 34-layer pair share one."""
    nets = ["plain-20", "plain-34", "plain-44", "plain-56", "resnet-20", "resnet-34", "resnet-44",
            "resnet-56", "resnet-110", "resnet-1202"]  # fmt: skip
    assert len({net_colour(net) for net in nets}) == len(nets)


def test_a_net_has_one_colour_in_every_company(tmp_path: Path):
    """Alone or among others, in any order."""
    runs = [load_run(write_run(tmp_path, net)) for net in ("plain-8", "resnet-14", "resnet-8")]
    alone = {style.net: style.colour for run in runs for style in run_styles([run])}
    together = {style.net: style.colour for style in run_styles(runs[::-1])}
    assert alone == together


def test_runs_of_one_net_differ_by_dash_and_seed(tmp_path: Path):
    """Same hue; the first by id is solid, whichever was picked first; labels say what differs."""
    runs = [load_run(write_run(tmp_path, "resnet-8", seed=seed)) for seed in (1, 0)]
    styles = run_styles(runs)
    assert [style.label for style in styles] == ["resnet-8, seed 1", "resnet-8, seed 0"]
    assert [style.dash for style in styles] == ["dash", "solid"]
    assert len({style.colour for style in styles}) == 1


def test_labels_name_recipe_and_data_where_they_differ(tmp_path: Path):
    """And nothing that does not."""
    first = write_run(tmp_path, "plain-8")
    other = write_run(tmp_path, "plain-8", recipe=Recipe.parse("short"), data="cifar10")
    labels = [style.label for style in run_styles([load_run(first), load_run(other)])]
    assert labels == ["plain-8, quick-e3, Digits (8x8, upsampled)", "plain-8, short, CIFAR-10"]


def test_runs_that_agree_in_all_are_labelled_by_id(tmp_path: Path):
    """Two trainings of the same seed."""
    runs = [load_run(write_run(tmp_path, run_id=name)) for name in ("one", "two")]
    assert [style.label for style in run_styles(runs)] == ["one", "two"]


def test_each_kind_has_a_marker_of_its_own(tmp_path: Path):
    """So that the kinds can be told apart without colour."""
    runs = [load_run(write_run(tmp_path, net)) for net in ("plain-8", "resnet-8", "preresnet-8")]
    symbols = [style.symbol for style in run_styles(runs)]
    assert symbols == ["circle-open", "circle", "circle-open-dot"]


def test_an_empty_figure_says_why():
    """One annotation, no axes."""
    figure = empty_figure("No run has this.", "Title")
    assert [note.text for note in figure.layout.annotations] == ["No run has this."]
    assert not figure.layout.xaxis.visible
    assert not figure.data


def test_restyling_changes_the_template_of_a_copy_only(tiny_run):
    """The page's figure stays as it was; the printed one is white."""
    figure = plot_error_curves(error_curves_info([tiny_run]))
    printed = restyle(figure, "print")
    assert printed.layout.template.layout.paper_bgcolor == "#ffffff"
    assert figure.layout.template == TEMPLATES["light"]
    assert printed.data == figure.data


def test_a_signed_figure_says_what_it_shows_once(tiny_run):
    """Data and recipe in a line under it, in room of its own."""
    figure = plot_error_curves(error_curves_info([tiny_run]))
    height = figure.layout.height
    for _again in range(2):
        sign(figure, conditions([tiny_run]))
    notes = [note.text for note in figure.layout.annotations if note.name == "conditions"]
    assert notes == ["Digits (8x8, upsampled); recipe quick-e3."]
    assert figure.layout.height > height


def test_the_line_under_a_figure_names_who_is_not_comparable(tmp_path: Path):
    """With the reason, so that a saved picture can't mislead."""
    runs = [load_run(write_run(tmp_path, "plain-8"))]
    runs.append(load_run(write_run(tmp_path, "resnet-8", recipe=Recipe.parse("short"))))
    assert conditions(runs) == (
        "Digits (8x8, upsampled); recipe quick-e3, short.<br>"
        "Not comparable with plain-8: resnet-8 (recipe short, not quick-e3)."
    )
