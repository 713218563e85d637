"""Probes added after the training. pytest tests/lens/test_probing.py"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("analysis.responses.probe", reason="comes with the trainer's recorder")


def test_a_run_without_probes_gets_its_first_and_last(tiny_trained):
    """The same rows that its training recorded; a second time there is nothing to add."""
    from analysis.lens.probing import probe_run, store_probes
    from analysis.runs import load_run

    recorded = tiny_trained.probe_blocks()
    for name in ("probes.csv", "probe_blocks.csv"):
        (tiny_trained.path / name).unlink()
    run = load_run(tiny_trained.path)
    store_probes(run, probe_run(run))
    added = run.probe_blocks()
    ends = [0, run.status.iteration]
    assert sorted(set(added["iteration"])) == ends
    expected = recorded[(recorded["epoch"] > 0) | (recorded["iteration"] == 0)]
    np.testing.assert_allclose(added["ratio"], expected["ratio"], rtol=1e-3)
    assert probe_run(run) == {}
