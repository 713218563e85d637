"""The Compare page by AppTest: what it shows, marks and refuses. pytest tests/pages/test_compare.py

Runs are tiny ones made by formulas; the bundled runs are out of the way, except in one test.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analysis.evidence.presets import default_pair, first_choice, presets
from analysis.figures.theme import FADED
from analysis.runs import list_runs, load_run, open_writer
from analysis.specs import Recipe
from tests import tiny
from tests.pages.reading import drawn, figures, legend
from tests.tiny import write_damaged, write_run

ROOT = Path(__file__).resolve().parents[2]


def _summary(page: AppTest) -> dict[str, list[str]]:
    """The table under the figures: cells by heading."""
    assert not page.exception, page.exception[0].message
    table = next(h.proto.body for h in page.get("html") if "<table>" in h.proto.body)
    heads = re.findall(r"<th(?: [^>]*)?>(.*?)</th>", table)
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr.*?</tr>", table)]
    return {head: [row[i] for row in rows if row] for i, head in enumerate(heads)}


def test_the_page_opens_on_the_34_layer_pair(page: AppTest, folder: Path):
    """Nothing configured: plain-34 beside resnet-34, though there are deeper and other runs."""
    for net in ("plain-56", "resnet-56", "plain-34-w4", "resnet-34-w4", "resnet-8"):
        write_run(folder, net)
    page.run()
    for figure in figures(page):
        assert legend(figure) == ["plain-34-w4", "resnet-34-w4"]
    assert page.title[0].value == "Plain vs residual nets"
    assert _summary(page)["Run"] == ["plain-34-w4", "resnet-34-w4"]


def test_a_preactivation_net_is_compared_with_its_residual_twin(folder: Path, page: AppTest):
    """Beside resnet-14 where there is one; the pair of plain and residual still comes first."""
    for net in ("resnet-14", "preresnet-14"):
        write_run(folder, net)
    page.run()
    assert not page.exception
    for figure in figures(page):
        assert legend(figure) == ["resnet-14", "preresnet-14"]
    for net in ("plain-8", "resnet-8"):
        write_run(folder, net)
    found = list_runs([folder])
    assert [run.net for run in default_pair(found)] == ["plain-8", "resnet-8"]


def test_every_figure_says_what_to_look_at(page: AppTest, folder: Path):
    """One sentence with the paper's section under each, and under the table."""
    write_run(folder)
    page.run()
    readings = " ".join(caption.value for caption in page.caption)
    for place in ("(section 4.1, Fig. 6)", "(section 4.2, Fig. 7)", "(section 3.3)"):
        assert place in readings


def test_a_link_reopens_the_view(page: AppTest, folder: Path):
    """Runs, axes, smoothing, source, epoch and highlight, all from the address."""
    for net in ("plain-8", "resnet-8", "resnet-14"):
        write_run(folder, net)
    page.query_params["compare_runs"] = ["resnet-14 quick-e3 s0 tiny", "plain-8 quick-e3 s0 tiny"]
    page.query_params["compare_x"] = "Iteration"
    page.query_params["compare_scale"] = "Log"
    page.query_params["compare_panels"] = "Plain | residual"
    page.query_params["compare_smoothing"] = "0.5"
    page.query_params["compare_source"] = "Closed form"
    page.query_params["compare_epoch"] = "2"
    page.query_params["compare_highlight"] = "plain-8"
    page.run()
    curves, responses = figures(page)
    assert legend(curves) == ["resnet-14", "plain-8"]  # in drawing order: highlighted last
    assert [trace["opacity"] for trace in drawn(curves)] == [FADED, FADED, 1, 1]
    assert [trace["opacity"] for trace in drawn(responses)] == [FADED, FADED, 1, 1]
    layout = curves["layout"]
    assert layout["xaxis"]["title"]["text"] == "Iteration (updates)"
    assert layout["yaxis"]["type"] == "log"
    assert "xaxis2" in layout
    assert "weight 0.50" in layout["title"]["subtitle"]["text"]
    assert responses["layout"]["title"]["subtitle"]["text"] == (
        "In closed form from BN parameters; after epoch 2."
    )


def test_a_link_to_runs_that_are_gone_shows_the_default_pair(page: AppTest, folder: Path):
    """What the address names and nobody has is said to be missing, until the choice changes."""
    write_run(folder, "plain-8")
    write_run(folder, "resnet-8")
    page.query_params["compare_runs"] = "resnet-999 gone"
    page.query_params["compare_x"] = "sideways"
    page.run()
    assert legend(figures(page)[0]) == ["plain-8", "resnet-8"]
    assert "not on this machine: resnet-999 gone" in page.warning[0].value
    page.multiselect(key="compare_runs").set_value(page.multiselect[0].value[:1]).run()
    assert not page.warning


def test_of_a_link_the_runs_that_are_here_are_shown(page: AppTest, folder: Path):
    """And the missing one is named."""
    write_run(folder, "plain-8")
    write_run(folder, "resnet-8")
    page.query_params["compare_runs"] = ["resnet-8 quick-e3 s0 tiny", "resnet-999 gone"]
    page.run()
    assert legend(figures(page)[0]) == ["resnet-8"]
    assert "resnet-999 gone" in page.warning[0].value


def test_runs_are_picked_and_dropped(page: AppTest, folder: Path):
    """Every figure and the table follow; with none picked the page says what to do."""
    ids = [write_run(folder, net).name for net in ("plain-8", "resnet-8", "resnet-14")]
    page.run()
    page.multiselect(key="compare_runs").set_value(ids).run()
    for figure in figures(page):
        assert legend(figure) == ["plain-8", "resnet-8", "resnet-14"]
    assert len(_summary(page)["Run"]) == 3
    page.selectbox(key="compare_highlight").set_value(ids[2]).run()
    assert {trace["opacity"] for trace in drawn(figures(page)[0])} == {FADED, 1}
    page.multiselect(key="compare_runs").set_value(ids[:2]).run()
    assert {trace["opacity"] for trace in drawn(figures(page)[0])} == {1}
    page.multiselect(key="compare_runs").set_value([]).run()
    assert not page.exception
    assert page.info[0].value == "Choose a run above."


def test_runs_that_do_not_compare_are_marked_with_the_reason(page: AppTest, folder: Path):
    """Data and recipe, beside the first run chosen."""
    ids = [
        write_run(folder, "plain-8", run_id="first").name,
        write_run(folder, "resnet-8", fingerprint="bb", run_id="images").name,
        write_run(folder, "resnet-14", recipe=Recipe.parse("short"), run_id="recipe").name,
    ]
    page.run()
    page.multiselect(key="compare_runs").set_value(ids).run()
    assert page.warning[0].value == (
        "- **resnet-8**: other images of Digits (8x8, upsampled)\n"
        "- **resnet-14**: recipe short, not quick-e3"
    )
    assert _summary(page)["Not directly comparable"] == [
        "–",
        "other images of Digits (8x8, upsampled)",
        "recipe short, not quick-e3",
    ]


def test_names_in_the_table_are_text(page: AppTest, folder: Path):
    """A data set's title is the user's: no HTML of it runs."""
    path = write_run(folder)
    config = json.loads((path / "config.json").read_text())
    config["data"]["title"] = "<img src=x onerror=alert(1)>"
    (path / "config.json").write_text(json.dumps(config))
    page.run()
    assert _summary(page)["Data"] == ["&lt;img src=x onerror=alert(1)&gt;"]


def test_a_damaged_run_is_named_and_breaks_nothing(page: AppTest, folder: Path):
    """Its place and the reason are folded under the figures; the others are shown."""
    write_run(folder)
    path = write_damaged(folder)
    page.run()
    assert legend(figures(page)[0]) == ["plain-8"]
    box = page.expander[-1]
    assert box.label == "Damaged runs, left out (1)"
    assert box.markdown[0].value.startswith(f"`{path}`: config.json can't be read")


def test_a_chosen_run_with_a_torn_table_is_left_out(page: AppTest, folder: Path):
    """Tables are looked into only when drawn: the message names run and file."""
    write_run(folder, "plain-8")
    torn = write_run(folder, "resnet-8", state="interrupted")
    (torn / "responses.csv").write_text("epoch,layer\n1,stem.conv\n")
    page.run()
    assert legend(figures(page)[0]) == ["plain-8"]
    assert page.error[0].value.startswith(f"{torn.name} is left out: responses.csv: no column")


def test_without_runs_the_page_says_how_to_make_one(page: AppTest, folder: Path):
    """A command to copy, and no empty figure."""
    page.run()
    assert not page.exception
    assert page.info[0].value.startswith("There are no runs yet.")
    assert page.code[0].value == (
        f"python -m analysis train --net resnet-20 --data digits --recipe quick --runs {folder}"
    )


def test_a_damaged_run_is_named_in_each_readers_language(page: AppTest, folder: Path):
    """The list of runs is cached for all sessions; the words are of the one who reads them."""
    write_run(folder, "plain-8")
    (write_run(folder, "resnet-8") / "status.json").unlink()
    said = {}
    for code in ("en", "zh_CN", "en"):
        page.query_params["lang"] = code
        page.session_state["language"] = code
        said[code] = page.run().expander[-1].markdown[0].value
    assert said["en"].endswith("status.json is missing")
    assert said["zh_CN"].endswith("缺少 status.json")


def test_with_damaged_runs_only_the_page_names_them(page: AppTest, folder: Path):
    """As without runs, and why those that are there don't count."""
    write_damaged(folder)
    page.run()
    assert not page.exception
    assert page.expander[0].label == "Damaged runs, left out (1)"


def test_a_run_that_has_just_begun_is_shown_as_such(page: AppTest, folder: Path):
    """No epoch yet: the figures say why they are empty."""
    write_run(folder, epochs=0, state="running")
    page.run()
    curves, responses = figures(page)
    assert curves["layout"]["annotations"][0]["text"].startswith("None of these runs has completed")
    assert responses["layout"]["annotations"][0]["text"].startswith("None of these runs has record")
    assert "plain-8: interrupted after 0 of 1 epochs" in [c.value for c in page.caption]
    page.selectbox(key="language").set_value("zh_CN").run()
    assert "plain-8：已中断，已完成 0 / 1 轮" in [c.value for c in page.caption]


def test_a_run_that_grows_is_read_again(page: AppTest, folder: Path):
    """Caches go by the files' stamps: the next look has the new epoch."""
    path = write_run(folder, epochs=2, recipe=Recipe.parse("quick"), state="running")
    page.run()
    assert _summary(page)["Epochs"] == ["2"]
    with open_writer(path) as writer:
        writer.append("history", tiny.history(writer.config.net, 3).tail(1))
        writer.set_status(epoch=3)
    page.run()
    assert _summary(page)["Epochs"] == ["3"]


def test_the_reading_guide_opens(page: AppTest, folder: Path):
    """With or without runs."""
    page.run()
    page.switch_page("pages/evidence/about.py").run()
    assert not page.exception
    assert page.title[0].value == "Reading guide"


def test_compare_imports_only_what_it_needs(tmp_path: Path):
    """It has to appear before torch could even load: its imports are most of a cold start."""
    write_run(tmp_path, "resnet-8")
    script = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "page = AppTest.from_file('app.py', default_timeout=60).run()\n"
        "assert not page.exception and len(page.get('plotly_chart')) == 2\n"
        "print([m for m in ('torch', 'torchvision', 'captum', 'sklearn', 'PIL.Image', 'rich',\n"
        "       'typer', 'analysis.jobs', 'analysis.lens', 'analysis.cli') if m in sys.modules])\n"
    )
    environment = {**os.environ, "RESIDUAL_LENS_RUNS": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("nets", "expected"),
    [
        (["plain-110", "resnet-110", "plain-34-w4", "resnet-34-w4"], "34-w4"),
        (["plain-34-w4", "resnet-34-w4", "plain-34-w8", "resnet-34-w8"], "34-w8"),
        (["plain-20", "resnet-20", "plain-56", "resnet-56", "resnet-110"], "56"),
        (["plain-8", "resnet-8-B", "resnet-8"], "8"),
    ],
)
def test_the_default_is_the_papers_pair_else_the_deepest(tmp_path: Path, nets, expected):
    """Depth 34 before all; wider before narrower; option A before B."""
    runs = [load_run(write_run(tmp_path, net)) for net in nets]
    assert [run.net for run in default_pair(runs)] == [f"plain-{expected}", f"resnet-{expected}"]


@pytest.mark.parametrize(
    ("nets", "expected"),
    [
        ((20, 32, 56, 110), (20, 56)),
        ((8, 14, 110), (8, 14)),
        ((20, 110), None),
    ],
)
def test_the_page_opens_on_a_shallow_and_a_deep_net_of_both_kinds(tmp_path: Path, nets, expected):
    """20 and 56 before all; never plain-110, as in Fig. 6; else the deepest pair."""
    runs = [load_run(write_run(tmp_path, f"{kind}-{depth}", epochs=1))
            for depth in nets for kind in ("plain", "resnet")]  # fmt: skip
    names = [run.net for run in first_choice(runs)]
    if expected is None:
        assert names == ["plain-110", "resnet-110"]
    else:
        a, b = expected
        assert names == [f"plain-{a}", f"plain-{b}", f"resnet-{a}", f"resnet-{b}"]


def test_the_presets_are_chosen_by_rule(tmp_path: Path):
    """Each where there are enough runs for it, from one comparable set."""
    nets = ("plain-20", "plain-56", "resnet-20", "resnet-20-B", "resnet-56", "resnet-110")
    runs = [load_run(write_run(tmp_path, net, epochs=1)) for net in nets]
    runs.append(load_run(write_run(tmp_path, "plain-32", fingerprint="bb", epochs=1)))
    found = {name: [run.net for run in chosen] for name, chosen in presets(runs).items()}
    assert found["fig7"] == ["plain-20", "plain-56", "resnet-20", "resnet-56", "resnet-110"]
    assert found["options"] == ["plain-20", "resnet-20", "resnet-20-B"]
    assert "pair" not in found
    assert "plain-32" not in found["fig6"]
    assert len(found["twin"]) == 2


def test_a_preset_is_one_click(page: AppTest, folder: Path):
    """The buttons choose the runs; what they chose goes to the next page."""
    for net in ("plain-20", "plain-56", "resnet-20", "resnet-56", "plain-34-w4", "resnet-34-w4"):
        write_run(folder, net, epochs=1)
    page.run()
    assert legend(figures(page)[0]) == ["plain-20", "plain-56", "resnet-20", "resnet-56"]
    page.button(key="compare_runs_pair").click().run()
    assert legend(figures(page)[0]) == ["plain-34-w4", "resnet-34-w4"]


def test_runs_that_do_not_compare_are_no_default_pair(tmp_path: Path):
    """Then the newest run alone; without runs nothing."""
    plain = load_run(write_run(tmp_path, "plain-8"))
    residual = load_run(write_run(tmp_path, "resnet-8", fingerprint="bb"))
    assert default_pair([plain, residual]) == [residual]
    assert default_pair([]) == []


def test_an_old_link_opens_and_is_renewed(page: AppTest, folder: Path):
    """Names used to end in a hash; and a name may say more or less beside other runs."""
    for net in ("plain-8", "resnet-8", "resnet-14"):
        write_run(folder, net, run_id=f"2026-11-24_{net}_quick-e3_s0_3f9a")
    page.query_params["compare_runs"] = [
        "resnet-14 quick-e3 s0 3f9a", "plain-8 quick epochs 3 s0 digits, from scratch",
        "resnet-999 gone",
    ]  # fmt: skip
    page.run()
    assert legend(figures(page)[0]) == ["plain-8", "resnet-14"]
    assert page.query_params["compare_runs"] == [
        "resnet-14 quick epochs 3 s0 digits", "plain-8 quick epochs 3 s0 digits",
    ]  # fmt: skip
    assert page.warning[0].value.count("resnet") == 1
    assert "resnet-999 gone" in page.warning[0].value
    options = page.multiselect(key="compare_runs").options
    assert not any("3f9a" in option for option in options)
