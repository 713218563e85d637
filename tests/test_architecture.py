"""The arrows between modules: `pytest tests/test_architecture.py`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import slow

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "module",
    [
        "analysis.runs",
        "analysis.figures",
        "analysis.jobs",
        "analysis.figures.report",
        "analysis.cli",
    ],
)
def test_imports_without_torch(module: str):
    """The front page and `list` appear before torch could even load."""
    code = (
        f"import sys, {module}; "
        "print([m for m in ('torch', 'torchvision', 'captum', 'streamlit') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)

    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_import_contracts():
    """pyproject's import-linter contracts: data flow one way, no Streamlit below pages/."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], capture_output=True, text=True, cwd=ROOT
    )

    assert done.returncode == 0, done.stdout


def test_no_page_file_is_directly_in_pages():
    """Streamlit would discover it and bypass app.py on a deep link."""
    assert list((ROOT / "pages").glob("*.py")) == []


def test_the_slow_tests_are_there():
    """So that the list does not name what was renamed."""
    for name in slow.read():
        file, _, function = name.partition("::")
        assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8"), name
