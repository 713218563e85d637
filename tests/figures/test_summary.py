"""The summary and what may be compared. pytest tests/figures/test_summary.py"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.figures import comparability, mean_responses, responses_info, summary_info
from analysis.figures.summary import summary_table, summary_words, titles
from analysis.runs import BUNDLED, Run, find_run, load_run
from analysis.runs.provenance import Imported
from analysis.specs import Recipe
from tests.tiny import errors, write_run


def test_a_row_says_what_the_net_is_and_how_it_ended(tiny_run: Run):
    """Every column, exactly."""
    train, test = errors(tiny_run.config.net, 3)
    assert summary_info([tiny_run]).to_dict("records") == [
        {
            "run": tiny_run.id,
            "net": "resnet-8",
            "kind": "residual",
            "label": "resnet-8",
            "variant": 0,
            "depth": 8,
            "shortcut": "A",
            "parameters": tiny_run.parameters,
            "multiply_adds": tiny_run.multiply_adds,
            "image_size": 32,
            "train_error": pytest.approx(train),
            "train_error_clean": pytest.approx(train - 1),
            "test_error": pytest.approx(test),
            "mean_response": mean_responses(responses_info([tiny_run]))[tiny_run.id],
            "response_source": "measured",
            "epochs": 3,
            "recipe": "quick-e3",
            "data": "Digits (8x8, upsampled)",
            "n_train": 2560,
            "n_test": 1000,
            "seed": 0,
            "state": "finished",
            "not_comparable": "",
        }
    ]


def test_every_heading_has_its_unit():
    """Errors in percent, and the two training errors are told apart."""
    headings = titles()
    for name in ("train_error", "train_error_clean", "test_error"):
        assert headings[name].endswith("(%)")
    assert "running" in headings["train_error"]
    assert "clean" in headings["train_error_clean"]
    assert headings["mean_response"] == "Mean response (std)"


def test_the_table_for_people_has_the_headings(tiny_run: Run):
    """One column a heading, in that order."""
    assert list(summary_table(summary_info([tiny_run]))) == list(titles().values())
    assert list(summary_table(summary_info([]))) == list(titles().values())


def test_the_words_are_rounded_and_say_nothing_needless(tiny_run: Run):
    """Errors to 0.01 %, responses to 0.001, counts in millions; no column without content."""
    train, test = errors(tiny_run.config.net, 3)
    info = summary_info([tiny_run])
    assert summary_words(info).to_dict("records") == [
        {
            "Run": "resnet-8",
            "Training error, running (%)": f"{train:.2f}",
            "Training error, clean (%)": f"{train - 1:.2f}",
            "Test error (%)": f"{test:.2f}",
            "Mean response (std)": f"{info['mean_response'][0]:.3f}",
            "Parameters": "0.08 M",
            "Multiply-adds per image": "12.24 M",
            "Epochs": "3",
            "Depth (layers)": "8",
            "Shortcut option": "A",
            "Recipe": "quick-e3",
            "Data": "Digits (8x8, upsampled)",
            "Seed": "0",
            "State": "finished",
        }
    ]


def test_another_input_size_is_said(tmp_path: Path):
    """Multiply-adds of a net of Table 1 are of 224 pixels; among CIFAR's nets nothing is said."""
    runs = [load_run(write_run(tmp_path, net, epochs=1)) for net in ("resnet-18", "resnet-8")]
    info = summary_info(runs)
    assert "Input size (pixels)" not in summary_words(info)
    words = summary_words(info.assign(image_size=[224, 32]))
    assert list(words["Input size (pixels)"]) == ["224", "32"]


def test_what_is_not_known_is_a_dash(tmp_path: Path):
    """No error before the first epoch, no shortcut option of a plain net."""
    run = load_run(write_run(tmp_path, "plain-8", epochs=0, state="queued"))
    row = summary_words(summary_info([run])).iloc[0]
    for heading in ("Test error (%)", "Mean response (std)", "Shortcut option"):
        assert row[heading] == "–"


def test_a_run_without_an_epoch_has_gaps_not_zeros(tmp_path: Path):
    """What is not known is not shown as a number."""
    row = summary_info([load_run(write_run(tmp_path, epochs=0, state="queued"))]).iloc[0]
    assert math.isnan(row["train_error_clean"])
    assert math.isnan(row["mean_response"])
    assert row["response_source"] == ""


def test_runs_on_the_same_images_and_recipe_compare(tmp_path: Path):
    """Whatever their seeds and nets."""
    nets = [("plain-8", 0), ("resnet-8", 0), ("resnet-14", 5)]
    runs = [load_run(write_run(tmp_path, net, seed=seed)) for net, seed in nets]
    assert set(comparability(runs).values()) == {""}
    assert comparability([]) == {}


def test_what_differs_from_the_first_run_is_said(tmp_path: Path):
    """Images, data set, recipe, a recipe's fields: each in words."""
    quick = Recipe.parse("quick")
    runs = [
        load_run(write_run(tmp_path, recipe=quick, run_id="first")),
        load_run(write_run(tmp_path, recipe=quick, fingerprint="bb", run_id="images")),
        load_run(write_run(tmp_path, recipe=quick, data="cifar10", fingerprint="c", run_id="data")),
        load_run(write_run(tmp_path, recipe=Recipe.parse("short"), run_id="recipe")),
    ]
    assert comparability(runs) == {
        "first": "",
        "images": "other images of Digits (8x8, upsampled)",
        "data": "trained on CIFAR-10, not on Digits (8x8, upsampled)",
        "recipe": "recipe short, not quick",
    }


def test_a_recipe_changed_under_one_label_is_told_by_its_fields(tmp_path: Path):
    """quick+ and quick+ may still differ."""
    recipes = [
        Recipe.parse("quick", lr=lr, batch_size=batch) for lr, batch in ((0.2, 64), (0.3, 32))
    ]
    runs = [
        load_run(write_run(tmp_path, recipe=recipe, run_id=name))
        for name, recipe in zip("ab", recipes, strict=True)
    ]
    assert comparability(runs)["b"] == "the recipe differs in lr, batch_size"


def test_normalizations_are_the_same_by_their_numbers(tmp_path: Path):
    """Not by "typed", nor because two files have one of their own; a name is only a name."""
    run = load_run(write_run(tmp_path, "plain-8"))
    half, other = [0.5, 0.5, 0.5], [0.4, 0.5, 0.5]
    scales = {
        "half": {"name": "half", "mean": half, "std": half},
        "the same": {"name": "typed", "mean": half, "std": half},
        "typed": {"name": "typed", "mean": other, "std": half},
        "one file's": {}, "another's": {},
    }  # fmt: skip
    runs = [
        Run(
            tmp_path / name,
            replace(run.config, recipe=None, normalization=scale, origin=Imported(sha256=name)),
            run.status,
        )
        for name, scale in scales.items()
    ]

    assert comparability(runs) == {
        "half": "",
        "the same": "",
        "typed": "input normalized by 0.4, 0.5, 0.5 / 0.5, 0.5, 0.5, not by half",
        "one file's": "input normalized by its file's own mean, not by half",
        "another's": "input normalized by its file's own mean, not by half",
    }
    assert comparability(runs[3:])["another's"] == "each input normalized by its own file's mean"


def test_a_run_that_went_on_from_another_net_is_told_from_one_from_scratch():
    """Same net, images and recipe, and yet not the paper's comparison."""
    names = ("plain-32 short s0, from scratch", "plain-32 short s0, continued from plain-20")
    runs = [find_run(name, [BUNDLED]) for name in names]
    assert list(comparability(runs).values()) == ["", "continued from plain-20"]
    assert list(comparability(runs[::-1]).values()) == ["", "from scratch"]
    assert list(comparability(runs[1:] * 2).values()) == [""]
