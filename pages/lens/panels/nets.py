"""The nets, surveys and maps that the page's sessions share; nothing from here is changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from analysis.runs import Run, load_run
from analysis.text import _
from pages.common.cached import _stamp

if TYPE_CHECKING:
    from torch import Tensor

    from analysis.data import Normalizer
    from analysis.lens.attribution import Attribution
    from analysis.nets import Net


def net_of(run: Run) -> tuple[Net, Normalizer]:
    """A run's net in evaluation mode and its normalizer: loaded once for all sessions."""
    return _net(str(run.path), _stamp(run.weights_path))


@st.cache_resource(max_entries=8, show_spinner=False)
def _net(path: str, stamp: tuple[int, int]) -> Any:
    from analysis.weights import load_net

    return load_net(load_run(Path(path)))


def input_of(run: Run, pixels: np.ndarray) -> Tensor:
    """The net's normalised input (1, 3, H, W) from pixels uint8 (H, W, 3)."""
    import torch

    normalizer = net_of(run)[1]
    return normalizer.apply(torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()))


def classes_of(run: Run) -> tuple[str, ...]:
    """Class names of a run; numbers where it has none."""
    info = run.config.images
    return info.classes if info else tuple(str(i) for i in range(run.config.net.classes))


def learned(run: Run, what: str) -> Any:
    """The run's survey or readouts, if they were made: kept in memory once found."""
    key = str(run.path), what, _stamp(run.weights_path)
    found = _found().get(key)
    if found is None:
        found = _read(run, what)
        if found is not None:
            _found()[key] = found
            while len(_found()) > 16:
                _found().pop(next(iter(_found())))
    return found


@st.cache_resource(show_spinner=False)
def _found() -> dict[tuple, Any]:
    return {}


def _read(run: Run, what: str) -> Any:
    from analysis.lens.readout import read_readouts
    from analysis.lens.survey import read_survey

    return read_survey(run) if what == "survey" else read_readouts(run)


def offer_to_learn(runs: list[Run], what: str, label: str, why: str) -> None:
    """A button for what a pass over the data set would add, where a run has no such thing yet."""
    missing = [run for run in runs if learned(run, what) is None]
    if not missing:
        return
    st.caption(why)
    if st.button(label, key=f"image_make_{what}", icon=":material/database:"):
        for run in missing:
            _learn(run, what)
        st.rerun()


def _learn(run: Run, what: str) -> None:
    from analysis.errors import LensError
    from analysis.lens.readout import make_readouts
    from analysis.lens.survey import make_survey

    words = _("{run}: {done} of {total} images")
    bar = st.progress(0.0, words.format(run=run.net, done=0, total="..."))

    def tell(done: int, total: int) -> None:
        bar.progress(min(done / total, 1.0), words.format(run=run.net, done=done, total=total))

    make: Callable[..., Any] = make_survey if what == "survey" else make_readouts
    try:
        make(run, *net_of(run), progress=tell)
    except LensError as error:
        st.error(str(error))
        st.stop()


def attribution_of(
    run: Run, pixels: np.ndarray, digest: str, target: int, method: str, layer: str
) -> Attribution:
    """An attribution, computed once for all who ask the same."""
    key = str(run.path), _stamp(run.weights_path), digest, target, method, layer
    return _attribution(key, run, pixels)


@st.cache_resource(max_entries=200, show_spinner=False)
def _attribution(key: tuple, _run: Run, _pixels: np.ndarray) -> Attribution:
    from analysis.lens.attribution import attribute

    *_rest, target, method, layer = key
    return attribute(net_of(_run)[0], input_of(_run, _pixels), target, method, layer)
