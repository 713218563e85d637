"""Pages that draw what is recorded open without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OPENED = """
import sys
from streamlit.testing.v1 import AppTest
for page in sys.argv[1:]:
    app = AppTest.from_file("app.py", default_timeout=120)
    app.switch_page(f"pages/{page}.py")
    app.run()
    assert not app.exception, app.exception[0].message
    assert "torch" not in sys.modules, f"{page} has imported torch"
"""
PAGES = ("compare", "refinements", "argument", "runs", "complexity", "glossary", "about")


def test_pages_of_evidence_open_without_torch(tmp_path: Path):
    """It takes three seconds and 400 MB, and the bundled runs carry what their figures need."""
    environment = {**os.environ, "RESIDUAL_LENS_RUNS": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", OPENED, *(f"evidence/{page}" for page in PAGES)]
    command.append("training/train")
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
