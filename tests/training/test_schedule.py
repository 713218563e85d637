"""Length and learning rate of the recipes: `pytest tests/training/test_schedule.py`."""

from __future__ import annotations

import pytest

from analysis.specs import RECIPES, Length, Recipe
from analysis.training.schedule import learning_rate


def test_the_paper_runs_64k_iterations():
    """391 updates an epoch on 50,000 images: 164 epochs, the last one not whole."""
    paper = RECIPES["paper"].length(50_000)

    assert (paper.steps_per_epoch, paper.iterations, paper.epochs) == (391, 64_000, 164)
    assert (paper.steps_in(0), paper.steps_in(163)) == (391, 267)
    assert sum(paper.steps_in(epoch) for epoch in range(paper.epochs)) == 64_000


@pytest.mark.parametrize(
    ("iteration", "lr"), [(0, 0.1), (31_999, 0.1), (32_000, 0.01), (48_000, 0.001), (63_999, 0.001)]
)
def test_the_paper_divides_by_10_at_32k_and_48k(iteration: int, lr: float):
    """Section 4.2."""
    paper = RECIPES["paper"]

    assert learning_rate(paper, paper.length(50_000), iteration) == pytest.approx(lr)


def test_resnet_110_warms_up_at_a_tenth():
    """0.01 until the training error is below 80 % (section 4.2)."""
    paper = RECIPES["paper"]

    assert learning_rate(paper, paper.length(50_000), 5, warming=True) == pytest.approx(0.01)


def test_short_is_one_cosine_cycle():
    """Up in the first epoch, highest after it, half at the middle, near zero at the end."""
    short = RECIPES["short"]
    long = Length(100, 3000)
    rates = [learning_rate(short, long, iteration) for iteration in range(3000)]

    assert max(rates) == rates[100] == pytest.approx(0.1)
    assert rates[:100] == sorted(rates[:100])
    assert rates[1550] == pytest.approx(0.05)
    assert rates[-1] < 1e-6


def test_a_training_shorter_than_its_warm_up_still_comes_down():
    """At most half of a training is warm-up."""
    short = Recipe.parse("short", epochs=1)

    assert learning_rate(short, Length(10, 10), 9) < 0.03
