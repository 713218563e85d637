"""Pictures of arrays, the net's map and the charts of one image: exact tables, readable axes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.figures import images, inspect
from analysis.figures.netmap import netmap_info, plot_netmap
from analysis.figures.theme import RunStyle
from analysis.specs import NetSpec

PLAIN = RunStyle("a", "plain-8", "plain", "plain-8", 0)


def responses():
    """A stem, one layer and a projection that is not shown."""
    return pd.DataFrame(
        {"layer": ["s", "c", "p"], "order": [1, 2, 2], "kernel": [3, 3, 1], "conv": [1, 1, 0],
         "std": [0.5, 0.7, 9.0]}
    )  # fmt: skip


def test_image_responses():
    """3x3 layers in order, with the data set's quantiles by name; nan without a survey."""
    spread = {name: np.array([0.1, 0.2]) for name in inspect.SPREAD}
    info = inspect.image_responses_info(
        [PLAIN], {"a": responses()}, {"a": spread}, {"a": ["s", "c"]}
    )

    assert info["layer"].tolist() == ["s", "c"]
    assert info["index"].tolist() == [1, 2]
    assert info["q50"].tolist() == [0.1, 0.2]
    assert len(inspect.plot_image_responses(info).data) == 3
    alone = inspect.image_responses_info([PLAIN], {"a": responses()}, {}, {})
    assert alone["q50"].isna().all()
    figure = inspect.plot_image_responses(alone)
    assert len(figure.data) == 1
    assert figure.layout.yaxis.title.text == "Standard deviation of the response"


def test_empty():
    """No runs give figures that say so."""
    info = inspect.image_responses_info([], {}, {}, {})

    assert inspect.plot_image_responses(info).layout.annotations[0].text == "Choose a run above."
    info = inspect.forming_info([], {}, {}, 0)
    assert inspect.plot_forming(info).layout.annotations[0].text == "Choose a run above."


def test_forming():
    """One class's rows, with its name; the head thick, the readout dotted."""
    table = pd.DataFrame(
        {"place": ["b"] * 4, "depth": 3, "source": ["head", "head", "readout", "readout"],
         "index": [0, 1, 0, 1], "probability": [0.2, 0.8, 0.4, 0.6], "accuracy": 50.0}
    )  # fmt: skip
    info = inspect.forming_info([PLAIN], {"a": table}, {"a": ("cat", "dog")}, 1)

    assert info["probability"].tolist() == [0.8, 0.6]
    assert set(info["class"]) == {"dog"}
    figure = inspect.plot_forming(info)
    assert [trace.line.dash for trace in figure.data] == ["dot", "solid"]


def test_colours():
    """Zero is near white on the signed scale and darkest on the positive one; ends are the ends."""
    signed = images.coloured(np.array([-1.0, 0.0, 1.0, 5.0]), 1.0, "signed")

    assert signed[1].min() > 235
    assert (signed[2] == signed[3]).all()
    assert signed[0][2] > signed[0][0]
    assert images.coloured(np.array([0.0]), 1.0, "positive").max() < 40
    assert images.scale_of(np.array([1.0])) == "positive"
    assert images.scale_of(np.array([1.0]), np.array([-1.0])) == "signed"
    assert images.limit_of(np.zeros(3)) > 0


def test_tiles():
    """Centres lie in their own tile: the pixel there has the map's colour."""
    maps = np.arange(6.0)[:, None, None].repeat(4, 1).repeat(4, 2)
    tiles = images.tile(maps, 5.0, "positive", columns=3)

    for value, (x, y) in zip(range(6), tiles.centres, strict=True):
        expected = images.coloured(np.array([float(value)]), 5.0, "positive")[0]
        assert (tiles.pixels[int(y), int(x)] == expected).all()


@pytest.mark.parametrize("count", [1, 2, 16, 64, 512])
def test_any_number_of_tiles(count):
    """Any number of channels makes a picture with a centre for each."""
    tiles = images.tile(np.zeros((count, 8, 8)), 1.0, "positive")

    assert len(tiles.centres) == count
    assert (tiles.centres < tiles.pixels.shape[1::-1]).all()


def test_overlay():
    """Opacity 0 is the image, 1 the map alone."""
    rgb = np.full((8, 8, 3), (200, 10, 10), np.uint8)
    values = np.ones((4, 4))

    assert (images.overlaid(rgb, values, 0.0, "positive") == rgb).all()
    top = images.coloured(np.ones(1), 1.0, "positive")[0]
    assert (images.overlaid(rgb, values, 1.0, "positive") == top).all()


def test_netmap():
    """A square a block, in the row of its stage, and a ring around the chosen one."""
    info = netmap_info(NetSpec.parse("resnet-8"), {"stem": 1.0, "stage2.block1": 0.5})

    assert info["name"].tolist() == ["stem", "stage1.block1", "stage2.block1", "stage3.block1"]
    figure = plot_netmap(info, "#123456", "stage2.block1", "response")
    assert list(figure.data[0].y) == [2]
    assert len(figure.data[1].x) == 4
