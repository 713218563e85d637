"""What a run is called where it is chosen, and in links: by what it is, not by its id's random end.

Where two are alike, what differs is added: where their weights began, data, date, time. A name that
was right once stays right: `find_named` knows what a run could be called beside other runs, and
what earlier versions called it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from analysis.errors import LensError
from analysis.escape import one_line
from analysis.runs.labels import labels_of
from analysis.runs.provenance import Constructed, Continued, Imported, Scratch
from analysis.runs.reader import Run, load_run
from analysis.runs.recordings import Comparable
from analysis.specs import Recipe
from analysis.specs.recipe import FITTED
from analysis.text import _, in_all_languages

_MADE = re.compile(r"\d{4}-\d\d-\d\d_.+_s\d+_[0-9a-f]{4}")
"""An id as `new_run_id` makes it; any other was given by somebody."""
_DATE = re.compile(r"^\d{4}-\d\d-\d\d(?=_)")
_RANDOM = re.compile(r"_[0-9a-f]{4}$")


def run_names(runs: Sequence[Comparable]) -> dict[str, str]:
    """By id what each run is called among these: `resnet-20 short s0`, no two alike."""
    names = {run.id: _with_label(run, plain_name(run)) for run in runs}
    for fact in _FACTS:
        alike: dict[str, list[Comparable]] = {}
        for run in runs:
            alike.setdefault(names[run.id], []).append(run)
        if len(alike) == len(runs) and fact is not _origin:
            break  # no two alike: as mostly, and thousands of names are not looked at again
        for name, same in alike.items():
            always = fact is _origin and _is_continued(same[0])
            words = {run.id: fact(run) for run in same} if always or len(same) > 1 else {}
            if always or len(set(words.values())) > 1:
                names |= {key: f"{name}, {word}" for key, word in words.items() if word}
    return names


def names_at(paths: Iterable[Path]) -> str:
    """What the runs in these directories are called, in a row. Raises RunError."""
    return ", ".join(run_names([load_run(path) for path in paths]).values())


def find_named(asked: Iterable[str], runs: Sequence[Comparable]) -> dict[str, str]:
    """By each asked name the id of the run that it means; names that no run has are left out.

    Of several runs that a name may mean, the oldest that began from scratch.

    Args:
        asked: names of `run_names` among any runs, of earlier versions, or ids.
        runs: in the order of `list_runs`.
    """
    wanted = list(asked)
    if not wanted:  # as mostly: thousands of runs need no names then
        return {}
    now = {name: run_id for run_id, name in run_names(runs).items()}
    ranked = sorted(runs, key=_is_continued)
    found = {}
    for name in wanted:
        means = now.get(name) or next((run.id for run in ranked if _may_mean(name, run)), None)
        if means:
            found[name] = means
    return found


def _may_mean(name: str, run: Comparable) -> bool:
    if name in (run.id, _DATE.sub("", run.id).lstrip("_").replace("_", " ")):
        return True
    plain = plain_name(run)
    _before, found, rest = name.rpartition(plain)
    if not found or (_before and not _before.endswith(": ")):
        return False
    said = {words for fact in _FACTS for words in in_all_languages(lambda f=fact: f(run))}
    facts = {part for words in said for part in words.split(", ")}
    return not rest or (rest.startswith(", ") and set(rest[2:].split(", ")) <= facts)


def plain_name(run: Comparable) -> str:
    """What a run is called whatever others there are: net, recipe, seed, data but CIFAR-10.

    One whose id somebody chose is called by that; a recording by its title's id.
    """
    if not isinstance(run, Run) or not _MADE.fullmatch(run.id):
        own = _DATE.sub("", run.id).lstrip("_")
        return one_line((own if isinstance(run, Run) else _RANDOM.sub("", own)).replace("_", " "))
    data = run.config.data
    parts = [run.net, recipe_words(run).replace(",", ""), f"s{run.config.seed}"]
    if data and data.name != "cifar10":
        parts.append(data.title if data.name == "folder" else data.name)
    return one_line(" ".join(parts))


def _is_continued(run: Comparable) -> bool:
    """Which is said in any company: such a run is no net as the paper trains it."""
    return isinstance(run, Run) and isinstance(run.config.origin, Continued)


def _with_label(run: Comparable, name: str) -> str:
    label = one_line(labels_of(run).name) if isinstance(run, Run) else ""
    return f"{label}: {name}" if label else name


def _origin(run: Comparable) -> str:
    return origin_words(run) if isinstance(run, Run) else ""


def _data(run: Comparable) -> str:
    return one_line(run.data_title)


def _created(run: Comparable) -> str:
    return run.config.created if isinstance(run, Run) else run.info.created


def _date(run: Comparable) -> str:
    named = _DATE.match(run.id)
    return named[0] if named else _created(run)[:10]


def _time(run: Comparable) -> str:
    return f"{_created(run)[11:19]} UTC"


def _end(run: Comparable) -> str:
    """Where nothing else is left: the random end of its id; else the id."""
    random = _RANDOM.search(run.id)
    return random[0][1:] if random else run.id


_FACTS: tuple[Callable[[Comparable], str], ...] = (_origin, _data, _date, _time, _end)
"""What tells runs of one name apart, in this order."""


def recipe_words(run: Run) -> str:
    """The preset and each field that differs from it: `short, epochs 6, lr 0.05`."""
    recipe = run.config.recipe
    return run.recipe if recipe is None else _spelled_out(recipe)


@lru_cache(maxsize=256)
def _spelled_out(recipe: Recipe) -> str:
    try:
        usual = Recipe.parse(recipe.name).to_dict()
    except LensError:
        return recipe.label
    own = recipe.to_dict()
    changed = [
        name for name, value in own.items()
        if name not in FITTED and value != usual.get(name) and value is not None
    ]  # fmt: skip
    return ", ".join([recipe.name, *(f"{name} {_value(own[name])}" for name in changed)])


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def origin_words(run: Run) -> str:
    """Where its first weights came from: `from scratch`, `continued from plain-20`, `imported`."""
    match run.config.origin:
        case Scratch():
            return _("from scratch")
        case Constructed(net=net):
            return _("constructed from {net}").format(net=net)
        case Continued(start=start):
            return _("continued from {net}").format(net=start.net)
        case Imported():
            return _("imported")
        case _:
            return str(run.recipe)
