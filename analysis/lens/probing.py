"""What a run's probes could not record any more: its initialisation, and its end, measured now.

The seed gives the initial weights back; what happened between them and the last state is gone with
the weights, and is not invented.
"""

from __future__ import annotations

import pandas as pd

from analysis import tables
from analysis.data import Images
from analysis.lens.own_images import Origin, images_of
from analysis.nets import build
from analysis.responses.probe import probe, probe_images
from analysis.runs import Run, open_writer
from analysis.weights import load_net

NAMES = ("probes", "probe_blocks")


def probe_run(run: Run, source: tuple[Images, Origin] | None = None) -> dict[str, pd.DataFrame]:
    """Rows of `probes` and `probe_blocks` that a run lacks: of iteration 0, and of its last state.

    Args:
        run: any run with weights; of one that did not begin with its seed's weights (imported,
            constructed) the last state alone.
        source: from `images_of`; None: the run's own.

    Raises:
        DataError: as `images_of`.
        RunDamaged: it has no whole weights.
    """
    images, _origin = source or images_of(run)
    recipe = run.config.recipe
    whole = images.subset(test=recipe.test_images if recipe else None)
    chosen = probe_images(whole.test, whole.test_labels)
    net, normalizer = load_net(run)
    known = set(run.probes()[["epoch", "iteration"]].itertuples(index=False, name=None))
    found = []
    if run.from_scratch and (0, 0) not in known:
        fresh = build(run.config.net, run.config.seed)
        found.append(probe(fresh, chosen, normalizer, 0, 0, batch_statistics=True))
    at = run.status.epoch, run.status.iteration
    if at not in known:
        found.append(probe(net, chosen, normalizer, *at))
    return {
        name: pd.concat([part[name] for part in found if name in part], ignore_index=True)
        for name in NAMES
        if any(name in part for part in found)
    }


def store_probes(run: Run, found: dict[str, pd.DataFrame]) -> None:
    """Put rows of `probe_run` beside those that the run has, in the order of training.

    Raises:
        RunInUse: it is being trained.
        RunError: it can't be written.
    """
    with open_writer(run.path) as writer:
        for name, rows in found.items():
            whole = pd.concat([run.table(name), tables.conform(rows, name)], ignore_index=True)
            whole = whole.sort_values(["iteration", "order"], kind="stable", ignore_index=True)
            writer.replace_table(name, whole)
