"""How large is each layer's response? Measured again over any images, for any run."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from analysis.data import load_images
from analysis.data.placing import load_own_images
from analysis.errors import DataError
from analysis.responses import Recording
from analysis.runs import Run, open_writer, tables
from analysis.runs.writer import measured_over
from analysis.specs import DataSpec
from analysis.training.finish import measure
from analysis.weights import load_net


def measure_run(run: Run, images: int = 10_000, data: str = "") -> Recording:
    """Responses and refinement of a run's net over its first test images.

    Args:
        run: any run with weights.
        images: how many; all there are where that is fewer.
        data: `cifar10`, `digits`, `folder:PATH`; by default the run's own data.

    Raises:
        DataError: the run names no data, or they can't be had.
        RunDamaged: it has no whole weights.
    """
    spec = DataSpec.parse(data) if data else run.config.data_here
    if spec is None:
        raise DataError("{run} names no data set; say which with --data folder:PATH", run=run.id)
    net, normalizer = load_net(run)
    whole = load_images(spec) if data else load_own_images(run)
    test = whole.subset(test=images).test
    found = measure(net, test, normalizer, run.status.epoch)
    over = measured_over(run.config, whole.fingerprint)
    return replace(
        found,
        responses=found.responses.assign(**over),
        refinement=found.refinement.assign(**over),
    )


def store_measurement(run: Run, recording: Recording, in_place: bool = False) -> None:
    """Put a measurement beside those that the run has, or in place of all of the same epoch.

    The same one (images, normalization, version) is never there twice: a second one replaces it.

    Raises:
        RunInUse: it is being trained.
        RunError: it can't be written.
    """
    with open_writer(run.path) as writer:
        for table, found in (
            ("responses", recording.responses), ("refinement", recording.refinement),
        ):  # fmt: skip
            if found.empty:
                continue
            found = tables.conform(found, table)
            old = run.table(table)
            if in_place:
                same = (old["epoch"] == run.status.epoch) & (old["n_images"] > 0)
            else:
                keys = pd.MultiIndex.from_frame(old[tables.MEASUREMENT])
                same = keys.isin(pd.MultiIndex.from_frame(found[tables.MEASUREMENT]))
            whole = pd.concat([old[~same], found], ignore_index=True)
            writer.replace_table(table, whole)
