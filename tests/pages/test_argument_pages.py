"""The pages of the paper's argument, run whole: claims, construction, fitting, Chinese."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.tiny import write_run

APP = str(Path(__file__).resolve().parents[2] / "app.py")


@pytest.fixture
def app(tmp_path, monkeypatch):
    """The app over two tiny pairs of runs."""
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path))
    for net in ("plain-8", "plain-14", "resnet-8", "resnet-14"):
        write_run(tmp_path, net, fingerprint="argument")
    return AppTest.from_file(APP, default_timeout=120)


def opened(app: AppTest, page: str) -> AppTest:
    at = app.run().switch_page(f"pages/evidence/{page}.py").run()
    assert not at.exception
    assert not at.error
    return at


def test_the_argument_judges_the_runs_it_is_given(app):
    """Verdicts for the four tiny runs, whose formulas satisfy the claims of depth."""
    at = opened(app, "argument")
    box = next(box for box in at.selectbox if box.label == "Data and recipe")
    at = box.set_value(next(o for o in box.options if o.startswith("Digits"))).run()
    table = at.dataframe[0].value
    verdicts = dict(zip(table["Claim"], table["Verdict"], strict=True))
    assert verdicts["Deeper plain nets have a higher training error (degradation)."] == "holds"
    assert verdicts["ResNet-1202 overfits rather than fails to train."] == "not enough runs"
    assert any("plain-14 minus plain-8: +" in text.value for text in at.markdown)


def test_fitting_shows_its_three_figures(app):
    """Loss, gradients, kernels, beside the figure of depth."""
    at = opened(app, "argument")
    next(box for box in at.number_input if box.label == "Steps").set_value(50)
    next(box for box in at.number_input if box.label == "Layers").set_value(2)
    next(button for button in at.button if button.label == "Fit").click()
    at.run()
    assert not at.exception
    assert len(at.get("plotly_chart")) == 4


def test_the_other_pages_open(app):
    """Counts and diagram; a term for each row."""
    assert len(opened(app, "complexity").get("plotly_chart")) == 1
    assert "恒等映射" in opened(app, "glossary").dataframe[0].value["中文"].tolist()


def test_the_app_speaks_chinese_when_asked(app):
    """By `?lang=`, on the first page too."""
    app.query_params["lang"] = "zh_CN"
    at = opened(app, "argument")
    assert at.title[0].value == "论文的论证"
