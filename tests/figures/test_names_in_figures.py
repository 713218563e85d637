"""Names from a run's files are text in every figure.

`pytest tests/figures/test_names_in_figures.py`

Layers, blocks, classes and labels as files from elsewhere may have them. Plotly reads tags in
titles, hover texts and labels of axes alike.
"""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from analysis import figures
from analysis.escape import for_plotly
from analysis.figures import inspect, lesions, refinement, refinement_training, similarity, theme
from analysis.figures.complexity import plot_speed, speed_info
from analysis.figures.theme import RunStyle
from analysis.runs import Run, load_run
from analysis.runs.labels import change_labels
from analysis.runs.learned import Lesions, Readouts, Similarity
from analysis.runs.times import TIME_COLUMNS
from tests.figures.test_text_out import texts_of
from tests.probed import write_probed

NAME = '<a href="https://example.org">link</a> <b>x</b><br>%{y}$z$'
STYLE = RunStyle("a", "plain-8", "plain", NAME, 0)


def shows(drawn: go.Figure, name: str = NAME) -> None:
    """The name is in the figure as text, and nowhere as it is."""
    texts = texts_of(drawn)
    assert any(for_plotly(name) in text for text in texts)
    for tag in ("<a", "</a", "<b>x", "$z", "x</b><br>"):
        assert not [text for text in texts if tag in text]
    json.loads(drawn.to_json())


def edited(run: Run, table: str, column: str) -> None:
    """Names in one of the run's files that nobody's net has."""
    file = run.path / f"{table}.csv"
    rows = pd.read_csv(file)
    rows[column] = NAME + rows[column]
    rows.to_csv(file, index=False)


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """Two nets, with names of that kind in all of their tables; the second has no measurement."""
    found = []
    for net, state in (("resnet-8", "finished"), ("preresnet-8", "cancelled")):
        run = load_run(write_probed(tmp_path, net, state=state))
        for table, column in (
            ("responses", "layer"), ("probes", "layer"), ("probe_blocks", "block_name"),
        ):  # fmt: skip
            edited(run, table, column)
        found.append(run)
    change_labels(found[1], name=NAME)
    rows = pd.read_csv(found[1].path / "responses.csv")
    closed = rows[rows["source"] == "closed_form"]
    closed.to_csv(found[1].path / "responses.csv", index=False)
    return [load_run(run.path) for run in found]


def test_layers_and_labels_of_responses(runs: list[Run]):
    """In hover texts, at the lines' ends, and where measured and closed-form runs are mixed."""
    drawn = figures.plot_responses(figures.responses_info(runs))
    shows(drawn)
    shows(drawn, NAME + "stage1.block1.conv1")
    said = drawn.layout.title.subtitle.text
    assert "in closed form" in said
    assert "https://example.org" in html.unescape(said)


def test_blocks_and_layers_over_training(runs: list[Run]):
    """Along axes and under the pointer."""
    info = refinement.refinement_info(runs)
    for measure in refinement.measures():
        shows(refinement.plot_by_block(info, measure), NAME + "stage1.block1")
    shows(refinement.plot_sorted(info), NAME + "stage1.block1")
    for measure in refinement_training.measures():
        course = refinement_training.training_info(runs, measure)
        part = "stage1.block1" if measure == "ratio" else "stage1.block1.conv1"
        shows(refinement_training.plot_training(course, measure), NAME + part)


def test_what_was_learned_of_a_net(runs: list[Run]):
    """Blocks that were removed, layers that were compared, places that were read."""
    names = tuple(f"stage{s}.block1" for s in (1, 2, 3))
    several = np.array([[20.0, 30.0]])
    found = Lesions(names, 10.0, np.array([30, 11, 25.0]), np.array([1]), several,
                    np.array([[0, 1]]), np.array([25.0]), 256)  # fmt: skip
    for some in (runs[:1], runs):
        single = lesions.single_info(some, {run.id: found for run in some})
        shows(lesions.plot_single(single.assign(block_name=NAME)))
    shows(lesions.plot_several(lesions.several_info(runs, {run.id: found for run in runs})))
    layers = (NAME, "stage1.block1.conv1")
    shows(similarity.plot_similarity(
        similarity.similarity_info(Similarity(layers, layers, np.eye(2))), "a", "b"
    ))  # fmt: skip
    read = Readouts(layers, [np.zeros((1, 2))] * 2, np.zeros((2, 2)), np.array([50.0, 60.0]))
    shows(similarity.plot_readouts(similarity.readouts_info(runs, {runs[0].id: read})))


def test_one_image_on_its_way():
    """Layers, places, classes and labels of Inspect."""
    table = pd.DataFrame(
        {"layer": [NAME], "order": [1], "kernel": [3], "conv": [1], "std": [0.5]}
    )  # fmt: skip
    plain = RunStyle("a", "plain-8", "plain", "plain-8", 0)
    shows(inspect.plot_image_responses(
        inspect.image_responses_info([plain], {"a": table}, {}, {})
    ))  # fmt: skip
    table = pd.DataFrame(
        {"place": "b", "depth": [3], "source": "head", "index": 0, "probability": 0.2,
         "accuracy": 50.0}
    )  # fmt: skip
    named = inspect.forming_info([plain], {"a": table}, {"a": (NAME,)}, 0)
    shows(inspect.plot_forming(named), "link")
    assert html.unescape(inspect.plot_forming(named).layout.title.text).replace("<br>", " ") == (
        "How the prediction forms: " + NAME.replace("<br>", " ")
    )
    place = inspect.forming_info([plain], {"a": table.assign(place=NAME)}, {"a": ("cat",)}, 0)
    shows(inspect.plot_forming(place))
    checked = pd.DataFrame({"randomised": ["", NAME], "correlation": [1.0, 0.1]})
    shows(inspect.plot_sanity(checked, plain))
    shows(inspect.plot_sanity(checked.assign(randomised=["", "head"]), STYLE))


def test_the_machine_of_measured_times():
    """As times.csv names it."""
    values = dict.fromkeys(TIME_COLUMNS, 1) | {"net": "plain-20", "mode": "inference"}
    times = pd.DataFrame([values | {"machine": NAME}])
    shows(plot_speed(speed_info(times, "inference", 1)), "link")


def test_a_line_is_not_broken_within_an_escaped_letter():
    """`&lt;` is one letter, as it is read."""
    lines = theme.wrapped(for_plotly("<" * 90 + " &amp; $"), 40).split("<br>")
    assert [html.unescape(line) for line in lines] == ["<" * 40, "<" * 40, "<" * 10 + " &amp; $"]
