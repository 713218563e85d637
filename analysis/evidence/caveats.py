"""What speaks against reading a run's numbers plainly: as it came with the run, and as computed.

No torch.
"""

from __future__ import annotations

from analysis import formats
from analysis.errors import LensError
from analysis.runs import Run
from analysis.runs.labels import labels_of
from analysis.runs.remembering import remembered
from analysis.specs import plan
from analysis.text import _

APART = 0.1
"""Share by which measured and closed-form mean responses may differ before it is said."""


def caveats(run: Run) -> list[str]:
    """A sentence each; none for most runs."""
    return [*labels_of(run).caveats, *_sources_disagree(run)]


@remembered
def response_by_source(run: Run) -> dict[str, float]:
    """Mean response over Fig. 7's layers, by source, at the last epoch that has both.

    Empty where no epoch has both.

    Raises:
        RunDamaged: its responses are no whole table.
    """
    rows = run.responses()
    names = {layer.name for layer in plan.layers(run.config.net) if layer.in_figure_7}
    rows = rows[rows["layer"].isin(names)]
    both = rows.groupby("epoch")["source"].nunique()
    epochs = both[both > 1].index
    if not len(epochs):
        return {}
    rows = rows[rows["epoch"] == epochs.max()]
    return {str(source): float(own["std"].mean())
            for source, own in rows.groupby("source", observed=True)}  # fmt: skip


def _sources_disagree(run: Run) -> list[str]:
    try:
        means = response_by_source(run)
    except LensError:
        return []  # said where the run is opened
    if len(means) < 2:
        return []
    measured, closed = means["measured"], means["closed_form"]
    if abs(measured - closed) <= APART * max(measured, closed):
        return []
    words = _(
        "Mean response {measured} measured on test images, {closed} in closed form (statistics of "
        "training batches). The two disagree, so a part of it is due to the images and not to the "
        "weights: compare its responses with those of other nets in both ways."
    )
    return [words.format(measured=formats.response(measured), closed=formats.response(closed))]
