"""A study worked off in this process, what it takes and leaves: `pytest tests/jobs/test_drain.py`.

What trains on several nodes at once is in `tests/cluster`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import jobs
from analysis.runs import leases, load_run
from tests.cluster.slurm_here import write_study
from tests.jobs.test_study import leave_a_lease

pytestmark = pytest.mark.trains


def test_a_run_whose_machine_is_gone_before_it_began_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Still queued, with a lease that looks fresh: the drain stays until it is known."""
    monkeypatch.setattr(leases, "BEAT", 0.3)
    run = write_study(tmp_path, ["plain-8"], [0])[0]
    leave_a_lease(run)

    assert jobs.drain("mine", tmp_path) == 0
    assert load_run(run).state == "finished"
