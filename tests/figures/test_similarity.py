"""Similarity and readouts as tables, figures and sentences; the numbers are made up and known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from analysis.figures import similarity
from analysis.runs import load_run
from analysis.runs.learned import Similarity
from tests.tiny import write_run

FIRST = ("stem.relu", "stage1.block1.relu1", "stage1.block1.relu2")
SECOND = (*FIRST, "stage2.block1.relu1")


@pytest.fixture
def found() -> Similarity:
    values = np.array([[1, 0.5, 0.2, 0.1], [0.5, 0.8, 0.4, 0.3], [0.2, 0.4, 0.6, 0.3]])
    return Similarity(FIRST, SECOND, values, 64)


def test_a_row_a_pair_of_layers(found):
    """With the names, and as a heat map of both nets' layers with the stages' borders."""
    info = similarity.similarity_info(found)
    row = info[(info["i"] == 2) & (info["j"] == 4)].iloc[0]
    assert (row["first"], row["second"], row["cka"]) == (FIRST[1], SECOND[3], 0.3)
    figure = similarity.plot_similarity(info, "a", "b")
    np.testing.assert_array_equal(figure.data[0].z, found.values)
    assert len(figure.layout.shapes) == 1 + 2
    assert not similarity.plot_similarity(similarity.similarity_info(None), "a", "b").data


def test_the_words_are_from_the_numbers(found):
    """Best counterparts of two nets; neighbours of a net with itself."""
    info = similarity.similarity_info(found)
    assert similarity.similarity_words(info, "a", "b") == (
        "For the median layer of a, the most similar layer of b has a CKA of 0.80; the least "
        "matched is stage1.block1.relu2 with 0.60."
    )
    own = Similarity(FIRST, FIRST, np.array([[1, 0.96, 0.2], [0.96, 1, 0.5], [0.2, 0.5, 1]]), 64)
    assert similarity.similarity_words(similarity.similarity_info(own), "a", "a") == (
        "In the median, a layer of a and the next one have a CKA of 0.73; 1 of 2 neighbours are "
        "above 0.95."
    )


def test_readouts_stand_at_fractions_of_the_depth(tmp_path):
    """So that nets of different depth can be compared; a net without any has no rows."""

    @dataclass
    class Readouts:
        names: tuple[str, ...]
        accuracy: np.ndarray

    runs = [load_run(write_run(tmp_path, net)) for net in ("plain-8", "resnet-8")]
    names = ("stem", "stage1.block1", "stage2.block1", "stage3.block1")
    info = similarity.readouts_info(
        runs, {runs[0].id: Readouts(names, np.array([30.0, 40, 50, 70]))}
    )
    assert list(info["fraction"]) == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert set(info["net"]) == {"plain-8"}
    assert list(similarity.plot_readouts(info).data[0].y) == [30, 40, 50, 70]
    assert not similarity.plot_readouts(similarity.readouts_info(runs, {})).data
