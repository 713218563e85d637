"""Minutes of load: tabs over all pages while nets train. `pytest tests/browser/test_soak.py`

`tests/benchmarks/bench_soak.py` is the hour, and says how long changes take. Here stands what holds
on a machine with other things to do as well.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.benchmarks.bench_soak import hold, tell
from tests.browser.serve import chromium_path

MINUTES = 3.0


@pytest.mark.trains
@pytest.mark.browser
@pytest.mark.skipif(chromium_path() is None, reason="needs a Chromium")
def test_load_leaves_nothing_behind_and_changes_no_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """No error on any page; trainings to the bit as without load; threads and open files stay, and
    memory, which a few minutes do not fill with all that is kept, within a quarter."""
    seen = asyncio.run(hold(MINUTES, count=2, every=2, pace=1.75, epochs=2, folder=tmp_path))
    quarters = seen.quarters()

    assert seen.found.errors == []
    assert len(seen.found.done) > 5
    assert seen.trained > 0
    assert seen.different == 0
    tell(seen)
    assert "with other bits: 0" in capsys.readouterr().out
    for name in ("threads", "files"):
        assert quarters[name][4] <= 1.5 * quarters[name][2] + 10, quarters
    assert seen.gathered()["memory"] < 1.25, quarters
