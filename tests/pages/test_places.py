"""Runs whose images are elsewhere on this machine: named once on a page, found by all.

pytest tests/pages/test_places.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analysis.specs.places import named_places
from pages.common import classroom

pytestmark = [
    pytest.mark.trains,
    pytest.mark.filterwarnings("default::ResourceWarning"),
    pytest.mark.filterwarnings("default::DeprecationWarning"),
]
ROOT = Path(__file__).resolve().parents[2]


def opened(panel: str = "", source: str = "sample") -> AppTest:
    """The page Inspect in a session of its own."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    at.session_state["image_panel"] = panel or "predictions"
    at.session_state["image_source"] = source
    return at.switch_page("pages/lens/image.py").run()


def keys(at: AppTest) -> list[str | None]:
    """Of the fields for a folder."""
    return [field.key for field in at.text_input if str(field.key).startswith("place_")]


def name(at: AppTest, where: str, folder: Path) -> AppTest:
    """The page after a folder was named there."""
    at.text_input(key=f"place_{where}_folder").set_value(str(folder))
    return next(b for b in at.button if b.label == "Use this folder").click().run()


def test_named_once_on_the_page(mine: Path):
    """A wrong folder is refused in a sentence; the right one serves panel, page and session."""
    at = opened("exemplars")
    assert keys(at) == ["place_survey_folder"]
    at = name(at, "survey", mine.parent / "none")
    assert "does not exist" in at.error[0].value
    at = name(at, "survey", mine)
    assert not at.exception
    assert not at.error
    assert keys(at) == []
    at = at.button(key="image_make_survey").click().run()
    assert "The test images with the largest response" in "".join(c.value for c in at.caption)

    at = opened(source="data")
    assert not at.exception
    assert keys(at) == []
    assert at.number_input(key="image_number").max == 39


def test_a_class_is_asked_for_no_folder(mine: Path, monkeypatch: pytest.MonkeyPatch):
    """Nor shown one, and what it can't see it can't set."""
    monkeypatch.setenv(classroom.SWITCH, "1")
    for at in (opened("exemplars"), opened(source="data")):
        assert not at.exception
        assert keys(at) == []
        assert "author" not in "".join(e.value for e in (*at.info, *at.caption, *at.markdown))
    assert named_places() == {}


def test_small_refinements_ask_too(mine: Path):
    """Lesions of runs whose images are elsewhere: asked for, then offered as a button."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    at = at.switch_page("pages/evidence/refinements.py").run()
    assert not at.exception
    assert "place_lesions_folder" in keys(at)
    at = name(at, "lesions", mine)
    assert not at.exception
    assert "place_lesions_folder" not in keys(at)
    assert [b for b in at.button if b.key == "image_make_lesions"]
