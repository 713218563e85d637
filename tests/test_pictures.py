"""The texts show what one command makes, and no more: `pytest tests/test_pictures.py`"""

from __future__ import annotations

import re
from pathlib import Path

from tests.browser.screenshots import PICTURES

ROOT = Path(__file__).resolve().parents[1]
TEXTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "checkpoints" / "README.md"]


def shown() -> set[Path]:
    """Every picture that a text shows, by where it lies."""
    found = set()
    for text in TEXTS:
        written = text.read_text(encoding="utf-8")
        for place in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)|<img[^>]+src=[\"']([^\"']+)", written):
            address = next(filter(None, place))
            if "://" not in address:
                found.add((text.parent / address).resolve())
    return found


def test_every_picture_in_a_text_is_there_and_made_by_the_command():
    """`python tests/browser/screenshots.py` makes all that README, docs and checkpoints show."""
    assert shown()
    assert shown() <= {(ROOT / "docs" / f"{name}.png").resolve() for name in PICTURES}
    assert [place for place in shown() if not place.is_file()] == []


def test_no_picture_lies_about_or_is_made_for_nothing():
    """Each of the command's is shown somewhere, and docs/ has no other."""
    assert {place.stem for place in shown()} == set(PICTURES)
    assert {file.stem for file in (ROOT / "docs").glob("*.png")} == set(PICTURES)
