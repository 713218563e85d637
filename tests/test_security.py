"""docs/security.md is true: `pytest tests/test_security.py`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("file", "test"), sorted(set(NAMED)))
def test_a_line_has_its_test(file: str, test: str):
    """The test that it names is there."""
    assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")


def test_every_line_of_a_table_names_a_test():
    """No promise without one."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]
    promises = [row for row in rows if not row.rstrip(" |").endswith("test")]
    assert len(promises) > 25
    assert [row for row in promises if "`tests/" not in row] == []


def test_the_server_listens_on_this_machine_alone():
    """Unless whoever starts it says otherwise."""
    settings = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))
    assert settings["server"]["address"] == "127.0.0.1"
    assert settings["client"]["showErrorDetails"] == "type"
    assert "enableXsrfProtection" not in settings["server"]  # on, as Streamlit has it
    assert "enableStaticServing" not in settings["server"]  # off, as Streamlit has it


def test_every_download_of_a_table_is_defused():
    """Pages and figures write CSV through `escape.csv_text` alone, and Streamlit none."""
    settings = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))
    assert settings["client"]["disableDataExport"] is True
    for folder in ("pages", "analysis/figures", "analysis/evidence", "analysis/cli"):
        for file in (ROOT / folder).rglob("*.py"):
            assert ".to_csv(" not in file.read_text(encoding="utf-8"), file
