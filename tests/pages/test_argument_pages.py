"""The pages of the paper's argument, run whole: claims, construction, fitting, Chinese."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analysis.construct.constructed_runs import carry_out
from analysis.evidence.glossary import TERMS
from analysis.jobs import list_jobs
from analysis.runs import load_run
from analysis.specs import DataSpec, NetSpec, Recipe
from analysis.training import prepare_run, train_run
from tests import queues
from tests.tiny import write_run

pytestmark = pytest.mark.trains

APP = str(Path(__file__).resolve().parents[2] / "app.py")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The user's runs."""
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path))
    return tmp_path


@pytest.fixture
def nobody_works(folder):
    """What is queued waits."""
    with queues.nobody_works(folder):
        yield


@pytest.fixture
def app(folder):
    """The app over two tiny pairs of runs."""
    for net in ("plain-8", "plain-14", "resnet-8", "resnet-14"):
        write_run(folder, net, fingerprint="argument")
    return AppTest.from_file(APP, default_timeout=120)


def opened(app: AppTest, page: str) -> AppTest:
    at = app.run().switch_page(f"pages/evidence/{page}.py").run()
    assert not at.exception
    assert not at.error
    return at


def with_digits(app: AppTest) -> AppTest:
    at = opened(app, "argument")
    box = named(at.selectbox, "Data and recipe")
    return box.set_value(next(o for o in box.options if o.startswith("Digits"))).run()


def named(elements, label: str):
    return next(element for element in elements if element.label == label)


def test_the_argument_judges_the_runs_it_is_given(app):
    """Verdicts for the four tiny runs, whose formulas satisfy the claims of depth."""
    at = with_digits(app)
    table = at.dataframe[0].value
    verdicts = dict(zip(table["Claim"], table["Verdict"], strict=True))
    assert verdicts["Deeper plain nets have a higher training error (degradation)."] == (
        "holds, single seed for some depths"
    )
    assert verdicts["ResNet-1202 overfits rather than fails to train."] == "not enough runs"
    assert any("plain-14 minus plain-8: +" in text.value for text in at.markdown)


def test_each_judged_claim_links_to_its_view_with_its_runs(app):
    """Compare opens on the two plain runs of the degradation claim."""
    links = [link.proto for link in with_digits(app).get("page_link")]
    first = next(link for link in links if link.label == "Compare these runs")
    assert first.query_string == (
        "compare_runs=plain-8+quick-e3+s0+tiny&compare_runs=plain-14+quick-e3+s0+tiny"
    )
    assert any(link.label == "Complexity" for link in links)


def test_a_damaged_table_is_named_and_the_rest_is_judged(app, folder):
    """In the midst of one run's responses is no number: it is left out, with the reason."""
    (path,) = folder.glob("*resnet-14*")
    table = (path / "responses.csv").read_text()
    (path / "responses.csv").write_text(table.replace("closed_form,", "closed_form,x", 1))
    at = app.run().switch_page("pages/evidence/argument.py").run()
    box = named(at.selectbox, "Data and recipe")
    at = box.set_value(next(o for o in box.options if o.startswith("Digits"))).run()
    assert not at.exception
    assert "is left out" in at.error[0].value
    assert "holds" in at.dataframe[0].value["Verdict"].tolist()


def test_what_is_missing_is_queued(app, folder, nobody_works):
    """A second seed of plain-20 by the group's recipe; asked for twice, queued once."""
    at = with_digits(app)
    nets = next(box for box in at.multiselect if str(box.key).startswith("argument_depth_missing"))
    nets.set_value(["plain-20"])
    at.number_input(key="argument_depth_missing_seed").set_value(1)
    at.run()
    at.button(key="argument_depth_missing_queue").click().run()
    (run,) = [run for run in list_jobs(folder) if run.state == "queued"]
    assert (run.net, run.config.seed, run.recipe) == ("plain-20", 1, "quick-e3")
    at.button(key="argument_depth_missing_queue").click().run()
    assert "queued or running already" in at.warning[0].value


def test_a_training_that_is_there_is_not_offered_again(app, folder, nobody_works):
    """plain-8 has seed 0, so seed 1 is proposed; seed 0 asked for, its run is named."""
    at = with_digits(app)
    nets = next(box for box in at.multiselect if str(box.key).startswith("argument_depth_missing"))
    assert "plain-8" in nets.options
    nets.set_value(["plain-8"])
    at.number_input(key="argument_depth_missing_seed").set_value(0)
    at.run()
    said = " ".join(info.value for info in at.info)
    assert "plain-8 with seed 0 is there already" in said
    assert "argument_depth_missing_queue" not in [button.key for button in at.button]


def test_constructing_and_the_study_of_it(folder, nobody_works):
    """From a trained plain-8: equal errors, a table of differences, and two runs in the queue."""
    recipe = Recipe.parse("quick", epochs=1, flip=False)
    path = prepare_run(folder, NetSpec.parse("plain-8-w4"), recipe, DataSpec.parse("digits"))
    base = train_run(path)
    at = opened(AppTest.from_file(APP, default_timeout=120), "argument")
    at.selectbox(key="argument_base").set_value(base.id).run()
    at.selectbox(key="argument_depth_wanted").set_value(14).run()
    named(at.button, "Construct").click().run()
    named(at.button, "Construct").click().run()  # twice: it is asked for once
    (waiting,) = [run for run in list_jobs(folder) if run.state == "queued"]
    assert waiting.status.queued_at is not None
    named(at.button, "Cancel").click().run()
    assert load_run(waiting.path).state == "cancelled"
    named(at.button, "Construct").click().run()
    (asked,) = [run for run in list_jobs(folder) if run.state == "queued"]
    carry_out(asked.path, only_queued=True)
    at.run()
    assert not at.exception
    said = at.success[0].value
    assert re.fullmatch(
        r"Training error: \d+\.\d\d % in both nets\. Test error: \d+\.\d\d % in both nets\.", said
    )
    blocks = next(t.value for t in at.dataframe if "Largest difference" in t.value)
    assert set(blocks["Largest difference"]) == {"0"}
    at.button(key="argument_study").click().run()
    queued = [run for run in list_jobs(folder) if run.state == "queued"]
    assert sorted(run.recipe for run in queued) == ["quick-e1", "quick-e1, from plain-8-w4"]
    for run in queued:
        train_run(run.path)
    at.run()
    assert any("From scratch: " in text.value for text in at.markdown)
    assert {load_run(run.path).net for run in queued} == {"plain-14-w4"}


def test_fitting_shows_its_three_figures(app):
    """Loss, gradients, kernels, beside the page's other figures; they stay."""
    at = opened(app, "argument")
    others = len(at.get("plotly_chart"))
    named(at.number_input, "Steps").set_value(50)
    named(at.number_input, "Layers").set_value(2)
    named(at.number_input, "Width (channels)").set_value(4)
    named(at.button, "Fit").click()
    at.run()
    assert not at.exception
    assert len(at.get("plotly_chart")) == others + 3
    named(at.toggle, "ReLU").set_value(False).run()
    assert len(at.get("plotly_chart")) == others + 3


def test_an_odd_number_of_layers_is_refused_in_words(app):
    """Residual blocks have two layers."""
    at = opened(app, "argument")
    named(at.number_input, "Layers").set_value(3)
    named(at.button, "Fit").click()
    at.run()
    assert at.error[0].value == "identity fitting: layers must be even, 2 to 64, not 3"


def test_the_other_pages_open(app):
    """Times that came along and diagram; a term for each row, no cell without a word."""
    charts = opened(app, "complexity").get("plotly_chart")
    assert [chart.key for chart in charts] == ["complexity_speed", "complexity_diagram"]
    at = opened(app, "glossary")
    terms = at.dataframe[0].value
    assert "恒等映射" in terms["中文"].tolist()
    assert not terms.isna().any().any()
    links = [link.proto.label for link in at.get("page_link")]
    assert len(links) == sum(bool(term.page) for term in TERMS)
    assert {"Compare", "The argument", "Complexity", "Inspect an image"} == set(links)


def test_damaged_times_are_said_so(app, folder):
    """A file that is cut off: a message, no traceback, and the rest of the page."""
    (folder / "times.csv").write_text("net,mode\nresnet-20,")
    at = app.run().switch_page("pages/evidence/complexity.py").run()
    assert not at.exception
    assert "is no table of measured times" in at.error[0].value
    assert len(at.get("plotly_chart")) == 1


@pytest.mark.parametrize("asked", ["zh_CN", "zh"])
def test_the_app_speaks_chinese_when_asked(app, asked):
    """By `?lang=`, on the first page too."""
    app.query_params["lang"] = asked
    at = opened(app, "argument")
    assert at.title[0].value == "论文的论证"
