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
from analysis.runs import DamagedRun, Run, list_runs, only_readable

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["compare", "refinements", "argument", "runs", "complexity", "train", "image"]
SECTIONS = {"train": "training", "image": "lens"}
FILES = ("config.json", "status.json", "history.csv", "responses.csv", "refinement.csv",
         "probes.csv", "probe_blocks.csv", "model.safetensors")  # fmt: skip


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
    max_examples=12, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(
    name=st.sampled_from(FILES), how=st.sampled_from(["cut", "swapped", "emptied", "edited"]),
    other=st.sampled_from(FILES), where=st.floats(0, 1), new=st.binary(min_size=1, max_size=12),
    page=st.sampled_from(PAGES),
)  # fmt: skip
def test_any_page_opens_whatever_happened_to_a_file(
    runs: Path, folder: Path, monkeypatch: pytest.MonkeyPatch,
    name: str, how: str, other: str, where: float, new: bytes, page: str,
):  # fmt: skip
    """Both runs are asked for; where one can't be read, Compare says why, and names a file."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(shutil.copytree(runs, Path(place) / "runs"))
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
            assert any(file in reason for file in FILES), reason
            assert for_markdown(reason) in said(at)
        if page != "compare":
            at.switch_page(f"pages/{SECTIONS.get(page, 'evidence')}/{page}.py").run()
            assert not at.exception, (page, at.exception[0].message)
