"""What is said above figures, from their numbers: pytest tests/figures/test_sentences.py"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.figures import sentences


def test_runs_under_way_are_told_with_their_epoch():
    """Each at its own last epoch; a label's asterisks are text."""
    info = pd.DataFrame(
        {
            "run": ["a", "a", "b"], "label": ["plain-20", "plain-20", "my*net"],
            "epoch": [1, 2, 7], "train_error": [50.0, 40.0, 9.04],
            "test_error": [51.0, 41.0, np.nan],
        }
    )  # fmt: skip
    assert sentences.of_progress(info).replace("\u00a0", " ") == (
        "plain-20 after epoch 2: training error (running) 40.00 %, test error 41.00 %; "
        r"my\*net after epoch 7: training error (running) 9.04 %, test error –."
    )
    assert sentences.of_progress(info[:0]) == ""


def test_flops_are_not_speed_in_numbers():
    """The factor is between the rates of the fastest and the slowest net."""
    info = pd.DataFrame({"net": ["plain-20", "resnet-50"], "rate": [5.0, 20.0]})
    assert sentences.of_speed(info) == (
        "ResNet-50 does 20.0 billion multiply-adds a second, plain-20 5.0: FLOPs alone would be "
        "off by a factor of 4.0."
    )
    assert sentences.of_speed(info[:1]) == ""


def test_layers_in_which_a_picture_is_unusual_are_counted():
    """Below 5 % and above 95 %; a net without a survey is not spoken of."""
    info = pd.DataFrame(
        {
            "label": ["a", "a", "a", "b"], "std": [0.1, 0.5, 2.0, 1.0],
            "q05": [0.2, 0.2, 0.2, np.nan], "q95": [1.0, 1.0, 1.0, np.nan],
        }
    )  # fmt: skip
    said = sentences.of_image(info)
    assert said == "a: outside of 5-95 % of the test images in 2 of 3 layers."


def test_from_which_layer_on_a_class_is_told():
    """For good: a readout that doubts again counts anew; without one the end alone is said."""
    info = pd.DataFrame(
        {
            "label": "a", "class": "cat", "depth": [1, 3, 5, 7, 7],
            "source": [*["readout"] * 4, "head"], "probability": [0.6, 0.4, 0.7, 0.9, 0.93],
        }
    )  # fmt: skip
    said = sentences.of_forming(info)
    assert said == "a gives cat 93.0\u00a0% in the end, its readouts over half from layer 5 on."
    assert (
        sentences.of_forming(info[info["source"] == "head"])
        == "a gives cat 93.0\u00a0% in the end."
    )
    unsure = info.assign(probability=0.2)
    assert sentences.of_forming(unsure) == "a gives cat 20.0\u00a0% in the end."


def test_of_several_twins_none_is_picked():
    """Options A and B beside plain-20: all are named. One ladder of each kind: a verdict each."""

    def rows(errors):
        return pd.DataFrame([
            {"run": net, "net": net, "label": net, "epoch": 1, "train_error": error, "std": error,
             "kind": "plain" if net.startswith("plain") else "residual"}
            for net, error in errors.items()
        ])  # fmt: skip

    options = rows({"plain-20": 7.0, "resnet-20": 5.0, "resnet-20-B": 4.0})
    assert sentences.of_curves(options).replace("\u00a0", " ") == (
        "Training error (running): plain-20 7.00 %; resnet-20 5.00 %; resnet-20-B 4.00 %."
    )
    assert sentences.of_responses(options) == (
        "Mean response: plain-20 7.000; resnet-20 5.000; resnet-20-B 4.000."
    )
    ladders = rows({"plain-20": 7.0, "plain-56": 22.0, "resnet-20": 5.0, "resnet-56": 2.0})
    assert sentences.of_curves(ladders).replace("\u00a0", " ") == (
        "Training error (running): plain-20 7.00 %, plain-56 22.00 %: deeper is **worse**; "
        "resnet-20 5.00 %, resnet-56 2.00 %: deeper is better."
    )
    assert sentences.of_curves(ladders.iloc[::2]).replace("\u00a0", " ") == (
        "Training error (running): plain-20 7.00 %, resnet-20 5.00 %."
    )
