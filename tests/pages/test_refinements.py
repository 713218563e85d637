"""The page Small refinements by AppTest: pytest tests/pages/test_refinements.py"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analysis.evidence.presets import by_decay, default_depths
from analysis.runs import Run, list_runs, load_run, write_recording
from analysis.specs import Compute, DataSpec, NetSpec, Recipe
from analysis.training import prepare_run, train_run
from tests.probed import write_probed
from tests.queues import wait_until
from tests.tiny import responses, write_run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def page(folder: Path) -> AppTest:
    """The page before its first run."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.switch_page("pages/evidence/refinements.py")
    return app


def charts(page: AppTest) -> dict[str, dict]:
    """The figures as the browser gets them, by title."""
    assert not page.exception, page.exception[0].message
    specs = [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]
    return {spec["layout"]["title"]["text"]: spec for spec in specs}


def drawn(figure: dict) -> list[str]:
    return [trace["name"] for trace in figure["data"] if trace.get("showlegend")]


def test_it_opens_on_residual_nets_of_three_depths(page: AppTest, folder: Path):
    """Nothing configured: 20, 56 and 110 with bands and their initialisation, of one recipe."""
    for net in ("plain-20", "resnet-8", "resnet-20", "resnet-56", "resnet-110"):
        write_probed(folder, net)
    page.run()
    found = charts(page)
    by_block = found["Size of the refinement, by block"]
    assert drawn(by_block) == ["resnet-20", "resnet-56", "resnet-110"]
    assert len(by_block["data"]) == 9
    said = " ".join(text.value for text in page.markdown)
    assert "each of resnet-110's blocks changes its input by" in said
    assert page.title[0].value == "Small refinements"


def test_a_slider_moves_the_blocks_through_training(page: AppTest, folder: Path):
    """At the initialisation the line is the dashed one."""
    write_probed(folder, "resnet-14")
    page.run()
    page.select_slider(key="refinements_moment").set_value("initialisation").run()
    _band, dashed, line = charts(page)["Size of the refinement, by block"]["data"]
    assert dashed["y"] == line["y"]


def test_plain_nets_are_drawn_over_training(page: AppTest, folder: Path):
    """They have gradients and no F."""
    for net in ("plain-8", "resnet-8"):
        write_probed(folder, net)
    page.run()
    page.multiselect(key="refinements_runs").set_value(
        sorted(run.path.name for run in list_runs([folder]))
    ).run()
    assert len(charts(page)["Over training: rms(F) / rms(x)"]["data"]) == 1
    page.segmented_control(key="refinements_measure").set_value("grad_norm").run()
    assert len(charts(page)["Over training: Gradient norm"]["data"]) == 2


def test_plain_nets_alone_are_no_error(page: AppTest, folder: Path):
    """Every part says what it needs."""
    write_run(folder, "plain-8")
    page.run()
    assert charts(page)["Size of the refinement, by block"]["data"] == []


def test_runs_without_probes_are_named(page: AppTest, folder: Path):
    """With the command that adds what can be known."""
    write_run(folder, "resnet-8")
    page.run()
    charts(page)
    said = [caption.value for caption in page.caption if "No probe" in caption.value]
    assert said[0].startswith("No probe of the initialisation: resnet-8.")


def test_by_default_depths_of_one_recipe(tmp_path: Path):
    """Fig. 7's depths where there are two of them, else least, middle and deepest."""
    nets = ("resnet-8", "resnet-14", "resnet-20", "resnet-26")
    runs = [load_run(write_probed(tmp_path, net)) for net in nets]
    assert [run.net for run in default_depths(runs)] == ["resnet-8", "resnet-20", "resnet-26"]
    runs.append(load_run(write_probed(tmp_path, "resnet-56")))
    assert [run.net for run in default_depths(runs)] == ["resnet-20", "resnet-56"]
    assert default_depths([]) == []


def with_decay(folder: Path, decay: float, net: str = "resnet-8") -> Run:
    """A probed run by another weight decay."""
    path = write_probed(folder, net)
    path = path.rename(path.with_name(f"{path.name}_{decay:g}"))
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    config["recipe"]["weight_decay"] = decay
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return load_run(path)


def test_runs_that_differ_in_weight_decay_alone(page: AppTest, folder: Path):
    """The least first, drawn beside one another; of two nets the one with more decays."""
    runs = [with_decay(folder, decay) for decay in (5e-4, 0.0, 1e-4)]
    runs += [with_decay(folder, decay, "resnet-14") for decay in (5e-4, 1e-4)]
    assert by_decay(runs) == [runs[1], runs[2], runs[0]]
    assert by_decay(runs[:1]) == []
    page.run()
    assert not page.exception, page.exception[0].message
    said = [text.value for text in page.markdown if "by weight decay" in text.value]
    assert all(f"with {decay}" in said[0] for decay in ("0 ", "0.0001", "0.0005"))


@pytest.fixture
def trained(folder: Path) -> Path:
    """A plain and a residual net, trained for seconds on 128 digits."""
    recipe = Recipe.parse("quick", epochs=1, train_images=128, test_images=64)
    for name in ("plain-8-w4", "resnet-14-w4"):
        compute = Compute(device="cpu", compile=False)
        spec = NetSpec.parse(name)
        train_run(prepare_run(folder, spec, recipe, DataSpec.parse("digits"), compute=compute))
    return folder


def test_the_laboratory_answers_for_a_trained_net(page: AppTest, trained: Path):
    """With no branch weakened nothing changes; removed ones are counted, on the picture too."""
    page.run()
    page.toggle(key="refinements_laboratory").set_value(True).run()
    assert not page.exception, page.exception[0].message

    def said() -> str:
        return next(text.value for text in page.markdown if "branches at" in text.value)

    assert "another prediction for 0.0 %. This picture: " in said()
    page.segmented_control(key="refinements_preset").set_value("other").run()
    assert said().startswith("**resnet-14-w4 with 3 of 6 branches at 0 %**")
    assert any("changes this picture by" in text.value for text in page.markdown)


def test_taking_blocks_away_is_asked_for(page: AppTest, trained: Path, monkeypatch):
    """Nothing is computed at opening; the button does it, and the result is kept and drawn."""
    for module in ("lens.lesions", "runs.learned"):
        monkeypatch.setattr(f"analysis.{module}.PROBE", 16)
    monkeypatch.setattr("analysis.lens.lesions.DRAWS", 2)
    page.run()
    assert charts(page)["One block removed"]["data"] == []
    page.button(key="image_make_lesions").click().run()
    assert drawn(charts(page)["One block removed"]) == ["resnet-14-w4"]
    assert any("without one block" in text.value for text in page.markdown)


def test_a_lesion_is_tried_on_all_test_images(page: AppTest, trained: Path):
    """Beside the page: it says that it is under way, at a reload too, then what was found."""
    page.run()
    page.toggle(key="refinements_laboratory").set_value(True).run()
    page.segmented_control(key="refinements_preset").set_value("other").run()
    label = "Try it on all test images"
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception, page.exception[0].message

    def found() -> list[str]:
        page.run()
        return [text.value for text in page.markdown if "of 360 test images" in text.value]

    wait_until(found)
    assert "another prediction for" in found()[-1]
    assert label not in [button.label for button in page.button]


def test_layers_are_compared_on_request(page: AppTest, trained: Path, monkeypatch):
    """Two of the runs, over few images here; kept and drawn from then on."""
    monkeypatch.setattr("analysis.lens.similarity.IMAGES", 16)
    page.run()
    title = "Layers of resnet-14-w4 and resnet-14-w4"
    assert charts(page)[title]["data"] == []
    page.button(key="refinements_make").click().run()
    assert len(charts(page)[title]["data"][0]["y"]) > 0
    assert any("a layer of resnet-14-w4 and the next one" in text.value for text in page.markdown)


def test_a_recording_alone_is_no_fault(page: AppTest, folder: Path):
    """It has no weights to compare or to take blocks from: those parts say nothing of it."""
    write_probed(folder, "resnet-8")
    recorded = write_recording(responses(NetSpec.parse("resnet-8"), 1), "mine", folder)
    page.run()
    page.multiselect(key="refinements_runs").set_value([recorded.path.name]).run()
    assert not page.exception, page.exception[0].message
    assert "Layers of" not in [control.label for control in page.segmented_control]
