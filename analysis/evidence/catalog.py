"""All runs as one table: to sort, to search in words, to filter by a rule. No torch.

The table is what the page Runs shows and `list --where` asks; one fact in it is one column.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import pandas as pd

from analysis.errors import LensError, SpecError
from analysis.escape import one_line
from analysis.evidence.claims import mean_response, test_error, train_error
from analysis.evidence.refining import mean_ratio
from analysis.runs import Run
from analysis.runs.labels import labels_of
from analysis.runs.names import origin_words, recipe_words
from analysis.text import _

COLUMNS = (
    "run", "name", "net", "kind", "depth", "data", "recipe", "seed", "epochs", "train_error",
    "test_error", "mean_response", "mean_refinement", "state", "host", "created", "origin", "tags",
    "note", "caveats",
)  # fmt: skip
NUMBERS = ("depth", "seed", "epochs", "train_error", "test_error", "mean_response",
           "mean_refinement")  # fmt: skip


def catalog(runs: Sequence[Run]) -> pd.DataFrame:
    """A row a run, in the order given.

    Columns: `COLUMNS`. train_error is the clean one where there is one (percent), recipe has what
    differs from its preset spelled out, host is another machine that is at work on it, created is
    the date, origin says where its weights began, tags are joined by spaces. mean_refinement is
    over blocks; NaN for plain nets.
    """
    return of_rows([row(run) for run in runs])


def of_rows(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The table of some rows."""
    return pd.DataFrame(rows, columns=list(COLUMNS))


def row(run: Run) -> dict[str, Any]:
    """A run's row, by column."""
    labels, net = labels_of(run), run.config.net
    return {
        "run": run.id, "name": labels.name, "net": run.net, "kind": net.kind, "depth": net.depth,
        "data": run.data_title, "recipe": recipe_words(run), "seed": run.config.seed,
        "epochs": run.status.epoch, "train_error": train_error(run),
        "test_error": test_error(run), "mean_response": _or_nan(lambda: mean_response(run)),
        "mean_refinement": _or_nan(lambda: mean_ratio(run)), "state": run.state,
        "host": run.host, "created": run.config.created[:10], "origin": origin_words(run),
        "tags": " ".join(labels.tags), "note": labels.note, "caveats": " ".join(labels.caveats),
    }  # fmt: skip


def _or_nan(of: Callable[[], float]) -> float:
    try:
        return of()
    except LensError:  # a torn table is said where the run is opened
        return float("nan")


def search(table: pd.DataFrame, text: str) -> pd.DataFrame:
    """The rows that have a text as it stands; else those with all its words; else those most alike.

    Ids are not searched by their random end: a short hash is in no word that people look for.
    """
    words = text.lower().split()
    if not words or table.empty:
        return table
    texts = [_searchable(row) for row in table.to_dict("records")]
    rules: tuple[Callable[[str], bool], ...] = (
        lambda known: " ".join(words) in known,
        lambda known: all(word in known for word in words),
        lambda known: all(_alike(word, known.split()) for word in words),
    )
    found = next(
        (own for fits in rules if (own := [i for i, t in enumerate(texts) if fits(t)])), []
    )
    whole_words = {i: sum(word in texts[i].split() for word in words) for i in found}
    return table.iloc[sorted(found, key=lambda i: -whole_words[i])]


def _alike(word: str, parts: Sequence[str]) -> bool:
    return any(word in part for part in parts) or bool(get_close_matches(word, parts, 1, 0.75))


def _searchable(row: dict[str, Any]) -> str:
    named = {**row, "run": re.sub(r"_[0-9a-f]{4}$", "", row["run"]).replace("_", " ")}
    numbers = [f"{row[name]:.2f}" for name in ("train_error", "test_error")]
    seed = f"seed {row['seed']} s{row['seed']}"
    epochs = f"{row['epochs']} epochs"
    return " ".join([*(str(named[name]) for name in COLUMNS), *numbers, seed, epochs]).lower()


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le, ">=": operator.ge, "!=": operator.ne, "=": operator.eq, "<": operator.lt,
    ">": operator.gt,
}  # fmt: skip
_TERM = re.compile(r"\s*(\w+)\s*(<=|>=|!=|=|<|>|~)\s*(.+?)\s*$")


def where(table: pd.DataFrame, rule: str) -> pd.DataFrame:
    """The rows that meet a rule: `test_error < 20 and net = resnet-56 and tags ~ good`.

    Terms are a column, one of = != < <= > >= ~ (contains) and a value, joined by `and`.

    Raises:
        SpecError: the rule makes no sense; the message has the columns.
    """
    for term in re.split(r"\s+and\s+", rule.strip()):
        found = _TERM.match(term)
        if not found or found[1] not in COLUMNS:
            raise SpecError(
                "{term!r} is no rule; write COLUMN = VALUE, with = != < <= > >= or ~ (contains), "
                "and one of the columns {columns}",
                term=term,
                columns=", ".join(COLUMNS),
            )
        table = table[_meets(table[found[1]], found[2], found[3].strip("'\""))]
    return table


def _meets(column: pd.Series, sign: str, value: str) -> pd.Series:
    if sign == "~":
        return column.astype(str).str.lower().str.contains(value.lower(), regex=False)
    if column.name in NUMBERS:
        try:
            number = float(value.removesuffix("%"))
        except ValueError:
            raise SpecError(
                "{column} is a number, and {value!r} is none", column=column.name, value=value
            ) from None
        return _OPERATORS[sign](column.astype(float), number)
    return _OPERATORS[sign](column.astype(str).str.lower(), value.lower())


def titles() -> dict[str, str]:
    """The heading of each column, with its unit."""
    return {
        "name": _("Name"), "net": _("Net"), "data": _("Data"), "recipe": _("Recipe"),
        "origin": _("Weights"), "seed": _("Seed"), "epochs": _("Epochs"),
        "train_error": _("Training error, clean (%)"),
        "test_error": _("Test error (%)"), "mean_response": _("Mean response (std)"),
        "mean_refinement": _("Mean refinement"), "state": _("State"), "host": _("Machine"),
        "created": _("Date"),
        "tags": _("Tags"), "note": _("Note"), "caveats": _("Caveats"),
        "run": _("Run id"),
    }  # fmt: skip


def catalog_table(table: pd.DataFrame) -> pd.DataFrame:
    """The table for people: columns that say something, under their headings."""
    headings = titles()
    said = [name for name in headings if name in ("net", "run") or _says(table[name])]
    shown = table[said].copy()
    for name in shown.columns.intersection(_ANYBODYS):
        shown[name] = shown[name].map(one_line)
    return shown.rename(columns=headings)


_ANYBODYS = ["data", "recipe", "host", "tags", "note", "caveats"]
"""Columns of text that a file says."""


def _says(column: pd.Series) -> bool:
    return bool((column.notna() & (column != "")).any())
