"""Training a net: recipe + net + data -> history, responses and weights in a run on disk.

`prepare_run` writes the definition, `train_run` starts it or goes on with it to the same bits.
Knows nothing of pages, figures or the command line.
"""

from analysis.training.loop import Progress, train_run
from analysis.training.prepare import move_run, prepare_run

__all__ = ["Progress", "move_run", "prepare_run", "train_run"]
