"""The contrast of every word of a page, computed in the browser."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

_FAINT = Path(__file__).with_name("faint.js").read_text()


def faint(page: Page) -> list[str]:
    """Words with less contrast than 4.5:1, and marks beside them with less than 3:1 (WCAG 2, AA).

    Of figures too, whose SVG axe-core does not look at.
    """
    return [f"contrast {ratio}: {word} ({tag})" for ratio, word, tag in page.evaluate(_FAINT)]
