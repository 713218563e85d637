"""What Python's garbage collector looks at.

Streamlit has it look at every object after each run of a page, so that memory does not grow. Most
of them belong to modules (torch, plotly, pandas): to look at these takes longer than the page.
"""

from __future__ import annotations

import gc
import sys

_seen = 0
"""Modules there were when it was told last."""


def pass_over_modules() -> None:
    """Leave out what there is now, where modules were imported since this was called last."""
    global _seen
    if len(sys.modules) > _seen:
        _seen = len(sys.modules)
        gc.collect()  # or garbage would be kept as well
        gc.freeze()
