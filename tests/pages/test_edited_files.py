"""Any one file of a run cut, swapped, emptied or edited: each page opens and says which it is.

pytest tests/pages/test_edited_files.py
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from analysis.escape import for_markdown
from analysis.runs import DamagedRun, Run, list_runs, load_run, only_readable
from analysis.runs.labels import change_labels

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["compare", "refinements", "argument", "runs", "complexity", "train", "image"]
SECTIONS = {"train": "training", "image": "lens"}
FILES = ("config.json", "status.json", "history.csv", "responses.csv", "refinement.csv",
         "probes.csv", "probe_blocks.csv", "model.safetensors", "labels.json", "lens/lesions.npz",
         "lens/readouts.npz", "lens/survey.npz", "../watched/recording.json",
         "../watched/progress.json")  # fmt: skip
"""Of a run, and of a recording beside it."""


@pytest.fixture(scope="module")
def known(runs: Path) -> Path:
    """The runs with labels and what the lens learned of them, and a watched loop beside them."""
    from torch import nn

    from analysis import watch
    from analysis.lens.lesions import make_lesions
    from analysis.lens.readout import make_readouts
    from analysis.lens.survey import make_survey
    from analysis.weights import load_net

    for path in sorted(runs.glob("2*")):
        run = load_run(path)
        net = load_net(run)
        change_labels(run, name=f"my {run.config.net.name}", tags=("own",), note="A note.")
        make_lesions(run, *net)
        make_readouts(run, *net)
        make_survey(run, *net)
    with watch(nn.Conv2d(3, 4, 3), name="mine", folder=runs, epochs=1) as loop:
        loop.log(train_error=50.0, test_error=60.0)
    assert loop.path
    loop.path.rename(runs / "watched")
    return runs


def edit(run: Path, name: str, how: str, other: str, where: float, new: bytes) -> None:
    """One file, as the test has drawn it."""
    file = run / name
    data = file.read_bytes()
    at = int(where * len(data))
    if how == "swapped":
        file.write_bytes((run / other).read_bytes())
        (run / other).write_bytes(data)
        return
    whole = {"cut": data[:at], "emptied": b"", "edited": data[:at] + new + data[at + len(new) :]}
    file.write_bytes(whole[how])


def reason_of(run_id: str, folder: Path) -> str:
    """Why a run can't be read, without its name; empty where it can."""
    found = {run.id: run for run in list_runs([folder])}[run_id]
    damaged = only_readable([found])[1] if isinstance(found, Run) else [found]
    why = [str(one.reason) for one in damaged if isinstance(one, DamagedRun)]
    return why[0].removeprefix(f"{run_id}: ") if why else ""


def said(page: AppTest) -> str:
    """All that a page says in words, as Markdown."""
    shown = [*page.markdown, *page.error, *page.warning, *page.info, *page.caption]
    return " ".join(element.value for element in shown)


@settings(
    max_examples=16, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(
    name=st.sampled_from(FILES), how=st.sampled_from(["cut", "swapped", "emptied", "edited"]),
    other=st.sampled_from(FILES), where=st.floats(0, 1), new=st.binary(min_size=1, max_size=12),
    page=st.sampled_from(PAGES),
)  # fmt: skip
def test_any_page_opens_whatever_happened_to_a_file(
    known: Path, folder: Path, monkeypatch: pytest.MonkeyPatch,
    name: str, how: str, other: str, where: float, new: bytes, page: str,
):  # fmt: skip
    """Both runs are asked for; where one can't be read, Compare says why, and names a file."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(shutil.copytree(known, Path(place) / "runs"))
        sound, edited = sorted(copy.glob("2*"))
        edit(edited, name, how, other, where, new)
        monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(copy))
        at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
        at.query_params["compare_runs"] = [one.name.split("_", 1)[1].replace("_", " ")
                                           for one in (sound, edited)]  # fmt: skip
        at.run()
        assert not at.exception, at.exception[0].message
        reason = reason_of(edited.name, copy)
        if reason:
            assert any(Path(file).name in reason for file in FILES), reason
            assert for_markdown(reason) in said(at)
        if page != "compare":
            at.switch_page(f"pages/{SECTIONS.get(page, 'evidence')}/{page}.py").run()
            assert not at.exception, (page, at.exception[0].message)


def test_lesions_that_can_not_be_unpacked_are_offered_anew(
    known: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """As on a damaged disk: the page says that they are missing, and has the button."""
    shutil.copytree(known, folder)
    for file in folder.glob("*/lens/lesions.npz"):
        method, unheard_of = (number.to_bytes(2, "little") for number in (8, 99))
        file.write_bytes(file.read_bytes().replace(method, unheard_of))
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    at.switch_page("pages/evidence/refinements.py").run()

    assert not at.exception, at.exception[0].message
    assert "Take the blocks away" in [button.label for button in at.button]
