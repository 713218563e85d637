"""Every cache of the app. Keys are paths and file stamps, so a run that grows is read again.

What a cache returns is shared by all sessions: tables, nets and pictures from here are read, never
written to. Imports no torch: what needs it is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import pandas as pd
import streamlit as st

from analysis import text
from analysis.evidence import catalog
from analysis.runs import (
    Comparable,
    DamagedRun,
    Run,
    SavedRecording,
    default_folder,
    listing,
    load_run,
    store,
)
from analysis.runs.checks import read_table
from analysis.runs.files import CONFIG, LABELS, PROGRESS, RECORDING, STATUS, table_file
from analysis.runs.index import one_look, within_look
from analysis.runs.known import KnownRuns
from analysis.runs.learned import (
    Origin,
    read_lesions,
    read_readouts,
    read_similarity,
    read_survey,
    similarity_name,
)
from analysis.runs.listing import labels_folder, recording_paths
from analysis.runs.recordings import recording_or_damaged
from analysis.runs.stamps import LOADED, Stamp, stamp, stamps
from analysis.runs.tables import first_measurement
from pages.common import classroom, collector

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from analysis.data import Normalizer
    from analysis.nets import Net
    from analysis.pictures.uploads import Picture

Made = TypeVar("Made")
Lesson = Literal["survey", "readouts", "lesions"]
"""What a pass over a data set teaches of a run."""


class _CachedTables:
    """Tables are read from disk once for each change of the file."""

    path: Path

    def table(self, table: str) -> pd.DataFrame:
        """As of the run, read once."""
        path = self.path / table_file(table)
        return _read_table(str(path), table, stamp(path))


class CachedRun(_CachedTables, Run):
    """A run with cached tables."""

    def responses(self) -> pd.DataFrame:
        """As of the run, read once."""
        return self._measured("responses")

    def refinement(self) -> pd.DataFrame:
        """As of the run, read once."""
        return self._measured("refinement")

    def _measured(self, table: str) -> pd.DataFrame:
        path = self.path / table_file(table)
        return _first_measurement(str(path), table, stamp(path))


class CachedRecording(_CachedTables, SavedRecording):
    """A recording with cached tables."""


_KNOWN = KnownRuns(CachedRun)
"""Of all sessions."""


_TOLD = (*LOADED, STATUS, LABELS, RECORDING, PROGRESS)
"""The files of a run or recording that a figure may be drawn from."""


def made(
    build: Callable[..., Made],
    runs: Sequence[Comparable],
    *choices: Hashable,
    others: Hashable = (),
) -> Made:
    """What `build(runs, *choices)` returns: kept until a file of a run changes, for all sessions.

    So a figure that another choice on the page leaves as it is is not drawn again.

    Args:
        build: a function of a module; it depends on nothing else but `others`.
        runs: what it reads.
        choices: its further arguments.
        others: stamps of other files that it reads.
    """
    key = (
        f"{build.__module__}.{getattr(build, '__name__', build)}",
        text.current_language(),
        st.context.theme.type,
        _mark_all(runs),
        others,
    )
    # What is worked out of all runs is kept apart, or a training that goes on beside thousands of
    # them would soon have put it in the place of every figure.
    keep = _made_of_many if len(runs) > MANY else _made
    return keep(key, choices, build, runs)[0]


MANY = 200
"""Runs whose files would take long to look at at each rerun."""


def _mark(run: Comparable, many: bool) -> Hashable:
    """What is another once the run or a file of it is.

    The object counts, which `KnownRuns` makes anew when files of the run change: until it has seen
    that, what is made of the object is not yet of what the files say now. Of a run that trains the
    object is always new, so its state and epoch count, and of a few runs the files as well.
    """
    if not isinstance(run, Run):
        return str(run.path), stamps(run.path, _TOLD)
    trains = run.status.state == "running"
    own = (str(run.path), run.state, run.status.epoch) if trains else id(run)
    return own if many else (own, stamps(run.path, _TOLD))


def _mark_all(runs: Sequence[Comparable]) -> int:
    """One number for the marks of all runs, and for the user's labels of bundled ones.

    Within one run of a page it is worked out once.
    """

    def look() -> tuple[int, Sequence[Comparable]]:
        marks = tuple(_mark(run, len(runs) > MANY) for run in runs)
        # The runs as well, so that no other object gets the id of one.
        return hash((marks, stamp(labels_folder()))), tuple(runs)

    return within_look(("marks", *map(id, runs)), look)[0]


def is_new(runs: Sequence[Comparable]) -> bool:
    """Whether this is asked of these runs, as they are now, for the first time."""
    mark = hash(tuple(_mark(run, True) for run in runs))
    asked = mark in _ASKED
    _ASKED.add(mark)
    return not asked


_ASKED: set[int] = set()


@st.cache_resource(max_entries=128, show_spinner=False)
def _made(key: Hashable, choices: tuple, _build: Callable, _runs: Sequence[Comparable]) -> Any:
    return _build(_runs, *choices), _runs  # kept, so that no other object gets the id of a run


@st.cache_resource(max_entries=32, show_spinner=False)
def _made_of_many(
    key: Hashable, choices: tuple, _build: Callable, _runs: Sequence[Comparable]
) -> Any:
    return _build(_runs, *choices), _runs


def list_runs() -> tuple[list[Run], list[DamagedRun]]:
    """The bundled runs and the user's, and those that are damaged."""
    folders = listing.BUNDLED, default_folder()
    found = within_look(folders, lambda: _KNOWN.entries(folders))
    whole = [run for run in found if isinstance(run, Run)]
    return whole, [run for run in found if isinstance(run, DamagedRun)]


def look_ahead() -> None:
    """Load all runs and have each answer what every page asks: of thousands that takes a second,
    in which the first browser loads its page."""
    for run in list_runs()[0]:
        for kept in ("comparison_key", "from_scratch", "id", "net"):
            getattr(run, kept)
    collector.pass_over_what_there_is()


def list_comparable() -> tuple[list[Comparable], list[DamagedRun]]:
    """All runs and after them recorded modules, and those of both that are damaged."""
    runs, damaged = list_runs()
    recorded, torn = list_recordings()
    made = [run for run in runs if not run.is_construction or run.state == "finished"]
    return [*made, *recorded], [*damaged, *torn]


def catalog_of(runs: Sequence[Run]) -> pd.DataFrame:
    """`evidence.catalog.catalog`, whose rows are computed again of the runs that changed."""
    rows, language, labels = [], text.current_language(), stamp(labels_folder())
    with one_look(), text.in_language(language):
        for run in runs:
            key = str(run.path), language
            mark = labels if run.bundled else ()
            before = _ROWS.get(key)
            if before is None or before[0] is not run or before[1] != mark:
                before = _ROWS[key] = run, mark, catalog.row(run)
            rows.append(before[2])
    return catalog.of_rows(rows)


_ROWS: dict[tuple[str, str], tuple[Run, Stamp, dict[str, Any]]] = {}
"""(of what object, with which labels of the user, the row) by path and language."""


def list_recordings() -> tuple[list[SavedRecording], list[DamagedRun]]:
    """All recorded modules, and the recordings that are damaged."""
    return within_look(("recordings",), _look_for_recordings)


def _look_for_recordings() -> tuple[list[SavedRecording], list[DamagedRun]]:
    whole: list[SavedRecording] = []
    damaged: list[DamagedRun] = []
    known = {str(run.path) for runs in list_runs() for run in runs}
    for path in recording_paths(runs=known):
        found = _load_recording(str(path), (stamp(path / RECORDING), stamp(path / PROGRESS)))
        if isinstance(found, DamagedRun):
            damaged.append(found)
        else:
            whole.append(CachedRecording(found.path, found.info, found.status))
    return whole, damaged


@st.cache_resource(max_entries=512, show_spinner=False)
def _load_recording(path: str, stamps: tuple[Stamp, ...]) -> SavedRecording | DamagedRun:
    return recording_or_damaged(Path(path))


# Of two tables each of 250 runs: one more than fit, and a page that draws them all reads them all
# again each time.
@st.cache_resource(max_entries=512, show_spinner=False)
def _read_table(path: str, table: str, stamp: Stamp) -> pd.DataFrame:
    frame = read_table(Path(path), table)
    words = [name for name in ("layer", "source", "block_name", "point") if name in frame]
    # 110 layers by 164 epochs by two sources: 36,000 rows with few words in them.
    return frame.astype(dict.fromkeys(words, "category"))


@st.cache_resource(max_entries=512, show_spinner=False)
def _first_measurement(path: str, table: str, stamp: Stamp) -> pd.DataFrame:
    return first_measurement(_read_table(path, table, stamp))


def net_of(run: Run) -> tuple[Net, Normalizer]:
    """A run's net in evaluation mode and its normalizer: loaded once for all sessions.

    Raises:
        RunDamaged: it has no whole weights.
    """
    return _net(str(run.path), stamp(run.weights_path))


@st.cache_resource(max_entries=8, show_spinner=False)
def _net(path: str, stamp: Stamp) -> Any:
    from analysis.weights import load_net

    return load_net(load_run(Path(path)))


def check(run: Run) -> None:
    """Whether a run's net can be asked: looked at once for all sessions.

    Raises:
        RunDamaged: it has no whole weights; said again at each call.
    """
    _checked(str(run.path), stamp(run.weights_path), run)


@st.cache_resource(max_entries=512, show_spinner=False)
def _checked(path: str, stamp: Stamp, _run: Run) -> None:
    from analysis.lens import asking

    asking.check(_run)


def answer(question: str, run: Run, pixels: np.ndarray, *given: str | int) -> Any:
    """`lens.asking.ask`, asked once for all who ask the same: where the answer is no maps.

    Maps of all channels are megabytes of a large net; they are asked for each time.

    Args:
        question: as there.
        run: any run with weights.
        pixels: uint8 (H, W, 3).
        given: what the question is told besides.
    """
    key = str(run.path), stamp(run.weights_path), pixels.shape, pixels.tobytes(), question, given
    return _answer(key, run, pixels)


@st.cache_resource(max_entries=256, show_spinner=False)
def _answer(key: tuple, _run: Run, _pixels: np.ndarray) -> Any:
    from analysis.lens import asking

    *_rest, question, given = key
    return asking.ask(question, _run, _pixels, *given)


def picture_of(file: UploadedFile) -> Picture:
    """An uploaded file's picture.

    Raises:
        DataError: it can't be read; said again at each call.
    """
    return _picture(file.file_id, file)


@st.cache_resource(max_entries=24, show_spinner=False)
def _picture(file_id: str, _file: UploadedFile) -> Picture:
    from analysis.pictures.uploads import read_image

    most = classroom.limits()
    # What is kept is at most 1024 x 1024 pixels, 3 MB.
    return read_image(_file.getvalue(), _file.name, most.size, most.pixels)


def classes_of_images(run: Run) -> tuple[tuple[str, ...], np.ndarray]:
    """`lens.asking.ask_for_classes`.

    Raises:
        DataError: as there; said again at each call.
    """
    from analysis.lens import asking

    return _of_images(("classes", *_images_key(run)), lambda: asking.ask_for_classes(run))


def test_image(run: Run, number: int) -> np.ndarray:
    """`lens.asking.ask_for_test_image`.

    Raises:
        DataError: as there; said again at each call.
    """
    from analysis.lens import asking

    key = ("image", *_images_key(run), number)
    return _of_images(key, lambda: asking.ask_for_test_image(run, number))


def survey_pictures(origin: Origin, numbers: Sequence[int]) -> np.ndarray:
    """`lens.asking.ask_for_images`.

    Raises:
        DataError: as there; said again at each call.
    """
    from analysis.lens import asking

    key = "survey", origin.text(), str(origin.data_here), tuple(numbers)
    return _of_images(key, lambda: asking.ask_for_images(origin, numbers))


def _images_key(run: Run) -> tuple[str, Stamp, str]:
    return str(run.path), stamp(run.path / CONFIG), str(run.config.data_here)


@st.cache_resource(max_entries=512, show_spinner=False)
def _of_images(key: Hashable, _ask: Callable[[], Any]) -> Any:
    return _ask()


def learned(run: Run, lesson: Lesson) -> Any:
    """A run's Survey or Readouts; None where they were not made yet."""
    kept = learned_stamps(run, lesson)
    if not any(time for time, *_ in kept):
        return None
    return _learned(str(run.path), lesson, stamp(run.weights_path), kept)


def learned_stamps(run: Run, lesson: Lesson) -> tuple[Stamp, ...]:
    """Of the files that `learned` reads, weights apart."""
    names = ("lesions_all", "lesions") if lesson == "lesions" else (lesson,)
    return tuple(stamp(place) for name in names for place in store.places(run, name))


@st.cache_resource(max_entries=32, show_spinner=False)
def _learned(path: str, lesson: Lesson, weights: Stamp, stamps: tuple[Stamp, ...]) -> Any:
    run = load_run(Path(path))
    if lesson == "survey":
        return read_survey(run)
    return read_readouts(run) if lesson == "readouts" else read_lesions(run)


def similarity_of(first: Run, second: Run) -> Any:
    """The `runs.learned.Similarity` of two runs; None where nobody has compared them."""
    kept = similarity_stamps(first, second)
    if not any(time for time, *_ in kept[2:]):
        return None
    return _similarity(str(first.path), str(second.path), kept)


def similarity_stamps(first: Run, second: Run) -> tuple[Stamp, ...]:
    """Of the files that `similarity_of` reads: the weights of both first."""
    weights = [run.weights_path for run in (first, second)]
    return tuple(map(stamp, [*weights, *store.places(first, similarity_name(second))]))


@st.cache_resource(max_entries=32, show_spinner=False)
def _similarity(first: str, second: str, stamps: tuple[Stamp, ...]) -> Any:
    return read_similarity(load_run(Path(first)), load_run(Path(second)))
