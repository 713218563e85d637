"""The Inspect page through AppTest: every panel, good and bad uploads, memory."""

from __future__ import annotations

import base64
import gc
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from streamlit.testing.v1 import AppTest

from analysis.pictures.samples import sample_classes, sample_names
from analysis.runs import list_runs, listing, load_run
from analysis.specs import Compute, DataSpec, NetSpec, Recipe
from analysis.training import prepare_run, train_run
from tests.lens.bad_files import animation, encoded, photo, refused

pytestmark = [
    pytest.mark.trains,
    pytest.mark.filterwarnings("default::PIL.Image.DecompressionBombWarning"),
    pytest.mark.filterwarnings("default::ResourceWarning"),
    pytest.mark.filterwarnings("default::DeprecationWarning"),
]
PANELS = ("predictions", "layers", "forming", "attribution", "exemplars", "export")


@pytest.fixture
def page(runs, monkeypatch, tmp_path):
    """The page, with these two runs and no others."""
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(runs))
    monkeypatch.setattr(listing, "BUNDLED", tmp_path / "none")
    at = AppTest.from_file("../../app.py", default_timeout=60).run()
    return at.switch_page("pages/lens/image.py").run()


def test_a_preactivation_net_has_every_panel(tmp_path, monkeypatch):
    """No exception in any panel; its block's output is the sum itself, its stem has no BN."""
    recipe = Recipe.parse("quick", epochs=1, train_images=128, test_images=64)
    spec, compute = NetSpec.parse("preresnet-8-w4-B"), Compute(device="cpu", compile=False)
    train_run(prepare_run(tmp_path, spec, recipe, DataSpec.parse("digits"), compute=compute))
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path))
    monkeypatch.setattr(listing, "BUNDLED", tmp_path / "none")
    at = AppTest.from_file("../../app.py", default_timeout=60).run()
    at = at.switch_page("pages/lens/image.py").run()
    for name in PANELS:
        assert not panel(at, name).exception, name
    at = panel(at, "layers")
    for block in ("stem", "stage2.block1"):
        at.selectbox(key="image_block_preresnet-8-w4-B").set_value(block).run()
        assert not at.exception
    shown = [image.caption for images in at.image for image in images.proto.imgs]
    assert "x + F(x): the output" in shown
    assert not any("ReLU(x + F(x))" in caption for caption in shown)


def panel(at, name):
    """The page with another panel."""
    at.session_state["image_panel"] = name
    return at.run()


def words(at):
    """All text of the page."""
    return "\n".join(
        element.value for kind in (at.markdown, at.caption, at.error, at.info) for element in kind
    )


def figures(at):
    """The page's plotly figures as dictionaries."""
    return [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]


def numbers(values):
    """A plotly array."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.array(values)


def upload(at, **files):
    """The page with these files uploaded."""
    at.session_state["image_source"] = "upload"
    at.run()
    content = [(name, data, "image/png") for name, data in files.items()]
    at.file_uploader(key="image_files").set_value(content)
    return at.run()


@pytest.mark.parametrize("name", PANELS)
def test_every_panel(page, name):
    """Each panel shows something of both nets and no exception."""
    at = panel(page, name)

    assert not at.exception
    assert not at.error
    assert at.title[0].value == "One image through the nets"


def test_predictions(page, runs):
    """Top-5 of both nets; the chart's lines are the responses to this image."""
    lines = {trace["name"]: numbers(trace["y"]) for trace in figures(page)[0]["data"]}

    assert set(lines) == {"plain-8-w4", "resnet-8-w4"}
    assert [len(line) for line in lines.values()] == [7, 7]
    assert all((line > 0).all() for line in lines.values())
    assert words(page).count("%") >= 2


def test_survey_and_readouts(page, runs):
    """The buttons survey the data set and fit readouts; then bands, exemplars and readouts show."""
    at = page
    at.button(key="image_make_survey").click().run()
    assert not at.exception
    bands = [trace for trace in figures(at)[0]["data"] if trace.get("fill") == "toself"]
    assert len(bands) == 4
    assert "outside of 5-95 % of the test images in" in words(at)

    at = panel(at, "exemplars")
    assert not at.exception
    assert "response (before ReLU)" in words(at)

    at = panel(at, "forming")
    at.button(key="image_make_readouts").click().run()
    assert not at.exception
    names = [trace["name"] for trace in figures(at)[0]["data"]]
    assert "plain-8-w4, readout" in names
    assert "resnet-8-w4, own classifier" in names
    for run in list_runs([runs]):
        assert run.path.joinpath("lens", "survey.npz").exists()


def test_another_test_image(page):
    """A test image by number; another one of a class of choice, with its label checked."""
    page.session_state["image_source"] = "data"
    page.run()
    page.number_input(key="image_number").set_value(3).run()
    assert "test image 3: " in words(page)

    page.selectbox(key="image_class").set_value(8).run()  # any class is 0
    next(one for one in page.button if one.label == "Another one").click().run()
    assert not page.exception
    assert f"test image {page.number_input(key='image_number').value}: 7" in words(page)


def test_block_and_layer(page):
    """A block chosen with the keyboard: its parts, with the size of the refinement."""
    at = panel(page, "layers")
    at.session_state["image_net"] = next(
        run for run in at.session_state["image_runs"] if "resnet" in run
    )
    at.run()
    at.selectbox(key="image_block_resnet-8-w4").set_value("stage2.block1").run()

    assert not at.exception
    assert "rms(F) / rms(x)" in words(at)
    assert "x + F(x) is" in words(at)


def test_attribution(page):
    """All methods at once, with a delta where there is one, and the sanity check."""
    from analysis.lens.attribution import METHODS

    at = panel(page, "attribution")
    at.session_state["image_methods"] = list(METHODS)
    at.run()
    assert not at.exception
    captions = [one.caption for image in at.image for one in image.proto.imgs]
    assert sum("delta" in caption for caption in captions) == 4

    at.toggle(key="image_sanity_on").set_value(True).run()
    assert not at.exception
    assert len(figures(at)) == 2


def test_grad_cam_at_any_layer(page):
    """Blocks and single layers, from the first to the last, in every net."""

    def looked_at(kind: str, depth: float) -> set[str]:
        at.session_state["image_methods"] = ["grad_cam"]
        at.session_state["image_place_kind"], at.session_state["image_place"] = kind, depth
        at.run()
        assert not at.exception
        captions = " ".join(one.caption for image in at.image for one in image.proto.imgs)
        return set(re.findall(r"(?:stem|stage)[\w.]*", captions))

    at = panel(page, "attribution")
    assert looked_at("block", 100.0) == {"stage3.block1"}
    assert looked_at("layer", 100.0) == {"stage3.block1.bn2"}
    assert looked_at("layer", 0.0) == {"stem.bn"}
    assert looked_at("layer", 50.0) == {"stage2.block1.bn1"}


def test_attribution_maps(page, runs):
    """The .npz has each net's map of each method chosen, under the run's name, and its layer."""
    from pages.lens.panels.attribution import Place, maps_file
    from pages.lens.panels.chooser import Picture, Subject

    run = load_run(next(path for path in runs.iterdir() if "resnet" in path.name))
    pixels = np.full((32, 32, 3), 90, np.uint8)
    subject = Subject(Picture("grey", pixels, (32, 32)), pixels)
    methods = ["saliency", "grad_cam"]
    with np.load(io.BytesIO(maps_file([run], subject, 3, methods, Place(1.0)))) as found:
        assert set(found.files) == {
            "pixels", "target", f"{run.id}/saliency", f"{run.id}/grad_cam/stage3.block1",
        }  # fmt: skip
        assert str(found["target"]) == "3"
        assert found[f"{run.id}/saliency"].shape == (32, 32)


@pytest.mark.parametrize(("name", "button"), [
    ("predictions", "survey"), ("exemplars", "survey"), ("forming", "readouts")])  # fmt: skip
def test_images_that_are_elsewhere(runs, monkeypatch, tmp_path, name, button):
    """A run whose images are not on this machine: the page says so, with the command; no button."""
    folder = tmp_path / "runs"
    plain = next(path for path in runs.iterdir() if "plain" in path.name)
    path = folder / "2026-11-24_plain-8-w4_away"
    shutil.copytree(plain, path, ignore=lambda *_: {"lens"})
    config = json.loads((path / "config.json").read_text())
    config["data"] = {"name": "folder", "path": "/no/such/place", "title": "My digits"}
    (path / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(folder))
    monkeypatch.setattr(listing, "BUNDLED", tmp_path / "none")
    at = AppTest.from_file("../../app.py", default_timeout=60).run()
    at = panel(at.switch_page("pages/lens/image.py").run(), name)

    assert not at.exception
    assert "not on this machine (plain-8-w4: My digits, `folder:/no/such/place`)" in words(at)
    run = tmp_path / "runs" / "2026-11-24_plain-8-w4_away"
    command = f"python -m analysis survey {run} --data folder:PATH"  # whatever the shell's folder
    assert at.code[0].value == command
    assert f"image_make_{button}" not in [one.key for one in at.button]

    at.session_state["image_source"] = "data"
    at.run()
    assert not at.exception
    assert "The images of plain-8-w4 (My digits) are not on this machine." in words(at)


@pytest.mark.parametrize("name", refused())
def test_bad_uploads(page, name):
    """Each bad file gets its sentence, nothing else breaks, and the next picture works."""
    data, message = refused()[name]
    at = upload(page, **{name: data})

    assert not at.exception
    assert at.error[0].value.startswith(message)
    at.session_state["image_source"] = "sample"
    at.run()
    assert not at.exception
    assert len(figures(at)) == 1


def test_a_file_s_name_is_no_markdown(page):
    """Stars, brackets and dollars in it are letters, not bold, links or formulas."""
    at = upload(page, **{"a *b* $x$ [l](c).png": encoded(photo())})
    assert any(r"a \*b\* \$x\$ \[l\](c).png, " in caption.value for caption in at.caption)


def test_forty_files(page):
    """Of 40 files the last 8 are read, the page says so, and one can be chosen."""
    at = upload(page, **{f"{i}.png": encoded(photo(40 + i, 40)) for i in range(40)})

    assert not at.exception
    assert (
        at.warning[0].value
        == "40 files were given; the last 8 are read. Remove some to see others."
    )
    assert len(figures(at)) == 1


def test_good_and_bad_together(page):
    """A bad file among good ones is named; the good ones are there. An animation is one frame."""
    files = {"a.gif": animation(), "b.png": b"", "c.png": encoded(photo())}
    at = upload(page, **files)

    assert not at.exception
    assert at.error[0].value.startswith("b.png is empty")
    assert len(figures(at)) == 1


def test_bounded_memory(runs):
    """200 different uploads, read and passed through a net, keep what the first 40 kept."""
    from analysis.pictures.crops import Crop, to_input
    from pages.common import cached

    run, process = list_runs([runs])[0], psutil.Process()
    for i in range(200):
        file = io.BytesIO(encoded(photo(800 + i, 700), "BMP"))
        file.name = "a.bmp"
        pixels = to_input(cached._picture(str(i), file).rgb, Crop())
        cached.answer("activations.probe", run, pixels)
        cached.answer("attribution.attribute", run, pixels, 0, "saliency", "")
        if i == 40:
            gc.collect()
            before = process.memory_info().rss
    gc.collect()

    assert process.memory_info().rss - before < 100e6


def test_the_server_needs_no_torch_for_a_picture(runs):
    """Another process answers; its answers are read without torch, and so is what draws them."""
    run = next(path for path in runs.iterdir() if "resnet" in path.name)
    code = (
        "import sys, numpy as np\n"
        "from analysis.lens import asking\n"
        "from analysis.runs import load_run\n"
        "from analysis.runs.learned import Lesion\n"
        "from pages.common import cached\n"
        "from pages.evidence.panels import lesions\n"
        "from pages.lens.panels import attribution, export, exemplars, forming, layers\n"
        "from pages.lens.panels import predictions\n"
        f"run, pixels = load_run({str(run)!r}), np.zeros((32, 32, 3), np.uint8)\n"
        "cached.check(run)\n"
        "cached.answer('activations.probe', run, pixels)\n"
        "asking.ask('activations.block_parts', run, pixels, 'stage1.block1')\n"
        "cached.answer('attribution.attribute', run, pixels, 0, 'grad_cam', 'stage1.block1')\n"
        "cached.classes_of_images(run), cached.test_image(run, 0)\n"
        "asking.ask_for_effect(run, Lesion({'stage1.block1': 0.0}))\n"
        "print('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)

    assert done.stdout.strip() == "False", done.stderr


def test_export(page, runs):
    """The .npz has the pixels and every layer under its path."""
    from pages.lens.panels.export import activations_file

    run = load_run(next(path for path in runs.iterdir() if "resnet" in path.name))
    pixels = np.zeros((32, 32, 3), np.uint8)
    with np.load(io.BytesIO(activations_file(run, pixels))) as found:
        assert {"pixels", "stem.bn", "stage3.block1.relu2", "head.fc"} <= set(found.files)
        assert found["stage1.block1.bn1"].shape == (4, 32, 32)


def test_a_sample_that_no_class_fits_is_said_so(page):
    """A temple and digits' nets; and each net has its own row of stages, side by side."""
    said = "This picture shows none of the classes: whatever the nets say of it is wrong."
    assert said in words(page)
    captions = [one.caption for image in panel(page, "layers").image for one in image.proto.imgs]
    assert sum(caption.startswith("Stage 2, channels") for caption in captions) == 2


def test_of_a_sample_with_a_class_the_verdict_is_shown():
    """A drawn ship is CIFAR's ship."""
    assert sample_classes("ship") == ("ship",)
    assert "airplane" in sample_classes("aeroplane")
    assert [name for name in sample_names() if sample_classes(name)] == ["ship", "aeroplane"]
