"""How large is each layer's response? Measured again over any images, for any run."""

from __future__ import annotations

import pandas as pd

from analysis.data import load_images
from analysis.errors import DataError
from analysis.responses import Recording
from analysis.runs import Run, files, open_writer
from analysis.spec import DataSpec
from analysis.tables import names
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
    spec = DataSpec.parse(data) if data else run.config.data
    if spec is None:
        raise DataError("{run} names no data set; say which with --data folder:PATH", run=run.id)
    net, normalizer = load_net(run)
    test = load_images(spec).subset(test=images).test
    return measure(net, test, normalizer, run.status.epoch)


def store_measurement(run: Run, recording: Recording) -> None:
    """Put measured rows in place of those that the run has of the same epoch.

    Raises:
        RunInUse: it is being trained.
        RunError: it can't be written.
    """
    with open_writer(run.path) as writer:
        for table, found in (
            ("responses", recording.responses), ("refinement", recording.refinement),
        ):  # fmt: skip
            old = getattr(run, table)()
            same = old["epoch"] == run.status.epoch
            if "source" in old:
                same &= old["source"] == "measured"
            whole = pd.concat([old[~same], found], ignore_index=True).reindex(columns=names(table))
            if len(whole):
                path = writer.path / files.table_file(table)
                files.write_whole(path, lambda file, w=whole: w.to_csv(file, index=False))
