"""Functions of a run whose answers are kept: by the process, and in the index for the next one."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.errors import LensError
from analysis.runs import stamps
from analysis.runs.index import index_of, within_look, words
from analysis.runs.reader import Run

if TYPE_CHECKING:
    import pandas as pd


def remembered(of: Callable[[Run], Any]) -> Callable[[Run], Any]:
    """A function of a run's config, weights file and tables whose value JSON holds: computed once.

    What it raises is not kept. The value is shared by all who ask in this process.
    """
    question = f"{of.__module__}.{getattr(of, '__qualname__', of)}"
    _questions[question] = of
    told: dict[str, tuple[str, Any]] = {}

    @functools.wraps(of)
    def answer(run: Run) -> Any:
        if isinstance(run, _Once):
            return run.ask(question)
        path = str(run.path)
        stamp = within_look(("files", path), lambda: words(stamps.stamps(path)))
        before = told.get(path)
        if before is None or before[0] != stamp:
            before = told[path] = stamp, _answer(run, question, stamp)
        return before[1]

    return answer


_questions: dict[str, Callable[[Run], Any]] = {}
"""All that are remembered: whoever reads a run's tables for one answers the others as well."""


def _answer(run: Run, question: str, stamp: str) -> Any:
    """From the index beside the run, else computed and kept there."""
    index = index_of(os.path.dirname(run.path))  # noqa: PTH120 - of thousands
    known = index.get(run.id, question, stamp)
    if known is not None:
        return json.loads(known)
    once = _Once(run.path, run.config, run.status, run)
    value = once.ask(question)
    found = [(run.id, question, stamp, json.dumps(value))]
    # Of the few that came along the first page asks for little, and is not to wait for the rest.
    for other in () if run.bundled or not index.is_kept else _questions:
        if other != question and index.get(run.id, other, stamp) is None:
            with suppress(LensError):
                found.append((run.id, other, stamp, json.dumps(once.ask(other))))
    index.put_all(found)
    return value


@dataclass(frozen=True)
class _Once(Run):
    """A run each table of which is read once, and of which each question is asked once."""

    given: Run
    """Which reads its tables as it is wont to."""

    @functools.cached_property
    def _read(self) -> dict[str, pd.DataFrame]:
        return {}

    @functools.cached_property
    def _asked(self) -> dict[str, Any]:
        return {}

    def ask(self, question: str) -> Any:
        """The answer to a question that is remembered; one may ask another."""
        if question not in self._asked:
            self._asked[question] = _questions[question](self)
        return self._asked[question]

    def table(self, table: str) -> pd.DataFrame:
        """As of the run."""
        if table not in self._read:
            self._read[table] = self.given.table(table)
        return self._read[table]
