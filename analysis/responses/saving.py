"""Putting the responses of any module where Compare finds them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.responses.recorder import Recording
from analysis.runs import SavedRecording, write_recording


def save_recording(
    recording: Recording | pd.DataFrame,
    title: str,
    folder: Path | str | None = None,
    data: str = "",
) -> SavedRecording:
    """Save what was measured as a recording: Compare lists it and draws it beside the runs.

    Args:
        recording: from `record` or `observe`, or a `responses` table such as `closed_form` gives.
        title: what figures call the module.
        folder: of runs; by default $RESIDUAL_LENS_RUNS, or `runs` in the current directory.
        data: what the images were, in words.

    Raises:
        RunError: the title is none, or the folder can't be written.
    """
    if isinstance(recording, pd.DataFrame):
        return write_recording(recording, title, folder, data=data)
    return write_recording(
        recording.responses, title, folder, data=data, module=recording.module,
        parameters=recording.parameters, refinement=recording.refinement, points=recording.points,
    )  # fmt: skip
