"""What the compared runs are, in one table, and which of them may be compared at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from analysis import formats
from analysis.escape import for_plotly
from analysis.figures import seeds, theme
from analysis.figures.responses import Choice, mean_responses, responses_info
from analysis.runs import Comparable, Run, SavedRecording
from analysis.runs.names import origin_words
from analysis.runs.provenance import Continued, Imported
from analysis.text import _

COLUMNS = (
    "depth",
    "shortcut",
    "parameters",
    "multiply_adds",
    "image_size",
    "train_error",
    "train_error_clean",
    "test_error",
    "mean_response",
    "response_source",
    "epochs",
    "recipe",
    "data",
    "n_train",
    "n_test",
    "seed",
    "state",
    "not_comparable",
)


def summary_info(runs: Sequence[Comparable], source: Choice = "auto") -> pd.DataFrame:
    """A row a run: what the net is, how it was trained, how it ended.

    Errors are percent after the last complete epoch: train_error running on augmented batches,
    train_error_clean on the clean training set, NaN where not recorded. multiply_adds are of one
    image. mean_response is the mean over the 3x3 layers at the run's last recorded epoch.

    Args:
        runs: any number; comparability is to the first.
        source: of the responses, as in `responses_info`.

    Raises:
        RunDamaged: a table of a run is not whole.
    """
    responses = responses_info(runs, source)
    means = mean_responses(responses) if len(responses) else pd.Series(dtype=float)
    sources = responses.drop_duplicates("run").set_index("run")["source"]
    reasons = comparability(runs)
    rows = []
    for run, style in zip(runs, theme.run_styles(runs), strict=True):
        rows.append(
            {
                **{name: getattr(style, name) for name in theme.STYLE_COLUMNS},
                **_net_and_training(run),
                "mean_response": means.get(run.id, float("nan")),
                "response_source": sources.get(run.id, ""),
                "not_comparable": reasons[run.id],
            }
        )
    table = pd.DataFrame(rows, columns=[*theme.STYLE_COLUMNS, *COLUMNS])
    return table.astype({name: "Int64" for name in _COUNTS if table[name].isna().any()})


_COUNTS = (
    "depth", "parameters", "multiply_adds", "image_size", "epochs", "n_train", "n_test", "seed",
)  # fmt: skip
"""Whole numbers also where a recorded module has none."""


def _net_and_training(run: Comparable) -> dict[str, Any]:
    if isinstance(run, SavedRecording):
        return _recorded(run)
    images = run.config.images
    return {
        "depth": run.config.net.depth,
        "shortcut": run.config.net.shortcut or "",
        "parameters": run.parameters,
        "multiply_adds": run.multiply_adds,
        "image_size": run.config.image_size,
        **_final_errors(run),
        "epochs": None if run.has_no_history and not run.status.epoch else run.status.epoch,
        "recipe": run.recipe,
        "data": run.data_title,
        "n_train": images.n_train if images else 0,
        "n_test": images.n_test if images else 0,
        "seed": run.config.seed,
        "state": run.state,
    }


def _recorded(run: SavedRecording) -> dict[str, Any]:
    """What is known of a module that is no net of ours."""
    trained = {"epochs": run.status.epoch, "state": run.state} if run.status else {"state": ""}
    return {
        **dict.fromkeys(_COUNTS),
        **_final_errors(run),
        "shortcut": "",
        **trained,
        "parameters": run.info.parameters,
        "n_test": run.n_images or None,
        "recipe": run.recipe,
        "data": run.data_title,
    }


def _final_errors(run: Comparable) -> dict[str, float]:
    """The last recorded value of each error; status.json's for a net without a history."""
    history = run.history()
    errors = {}
    for name in ("train_error", "train_error_clean", "test_error"):
        known = history[name].dropna()
        last = getattr(run.status, name, None) if known.empty else known.iloc[-1]
        errors[name] = float("nan") if last is None else float(last)
    return errors


MEASURES = ("train_error", "train_error_clean", "test_error", "mean_response")


def over_seeds(info: pd.DataFrame, runs: Sequence[Comparable]) -> pd.DataFrame:
    """`summary_info` with a row for all seeds of a net: means, least and largest, how many."""
    if info.empty:
        return info
    together = seeds.groups(runs)
    merged = seeds.merge(info.assign(all=0), runs, "all", MEASURES).drop(columns="all")
    listed = {group[0].id: [run.id for run in group] for group in together}
    by_run = info.set_index("run")["seed"]
    words = merged["run"].map(
        lambda run: ", ".join(str(by_run[one]) for one in listed[run] if pd.notna(by_run[one]))
    )
    return merged.assign(seed=words)


def comparability(runs: Sequence[Comparable]) -> dict[str, str]:
    """By run id, why it is not directly comparable with the first run; empty where it is.

    Runs compare directly where they saw the same images (fingerprint of pixels and labels) under
    the same recipe; seeds may differ.
    """
    return {run.id: _difference(runs[0], run) for run in runs}


def conditions(runs: Sequence[Comparable]) -> str:
    """What a saved figure of these runs has to say: data and recipe, and who is not comparable.

    `CIFAR-10, recipe short. Not comparable with plain-20: resnet-8 (other images of Digits).`
    """
    if not runs:
        return ""
    named = [run for run in runs if run.data_title]
    titles = dict.fromkeys(for_plotly(run.data_title) for run in named)
    data = ", ".join(titles) or _("unknown data")
    recipes = ", ".join(dict.fromkeys(for_plotly(_recipe_label(run)) for run in runs))
    lines = [_("{data}; recipe {recipe}.").format(data=data, recipe=recipes)]
    reasons = {run: reason for run, reason in comparability(runs).items() if reason}
    if reasons:
        labels = {style.run: for_plotly(style.label) for style in theme.run_styles(runs)}
        shown = [
            f"{labels[run]} ({for_plotly(reason)})" for run, reason in list(reasons.items())[:2]
        ]
        if len(reasons) > 2:
            shown.append(_("{count} more").format(count=len(reasons) - 2))
        words = _("Not comparable with {run}: {others}.")
        lines.append(words.format(run=labels[runs[0].id], others=", ".join(shown)))
    return "<br>".join(lines)


def _recipe_label(run: Comparable) -> str:
    """Of a constructed net the recipe by which its weights were found."""
    made = run.construction if isinstance(run, Run) and run.is_construction else None
    return made.recipe.label if made and made.recipe else run.recipe


def _difference(first: Comparable, run: Comparable) -> str:
    if isinstance(first, SavedRecording) or isinstance(run, SavedRecording):
        if first.id == run.id:
            return ""
        if first.has_no_history or run.has_no_history:
            return _("a recording: nothing is known of its training")
        return _("trained elsewhere: its images and recipe are not known")
    if first.id == run.id:
        return ""
    (images, recipe), (other_images, other_recipe) = first.comparison_key, run.comparison_key
    reasons = []
    if images != other_images:
        reasons.append(_other_images(first, run))
    if recipe != other_recipe:
        reasons.append(_other_recipe(first, run))
    if any(isinstance(one.config.origin, Continued) for one in (first, run)):
        began = origin_words(run)
        reasons += [began] if began != origin_words(first) else []
    return "; ".join(reasons)


def _other_images(first: Run, run: Run) -> str:
    if not (run.config.images and first.config.images):
        return _("it is not known which images it saw")
    ours, theirs = run.config.images, first.config.images
    if ours.fingerprint == theirs.fingerprint and ours.n_test != theirs.n_test:
        words = _("measured over {n} test images, not {other}")
        return words.format(n=ours.n_test, other=theirs.n_test)
    if ours.fingerprint == theirs.fingerprint and ours.n_train == theirs.n_train:
        words = _("input normalized by {name}, not by {other}")
        names = _normalization(run), _normalization(first)
        if len(set(names)) == 1:  # each one's own
            return _("each input normalized by its own file's mean")
        return words.format(name=names[0], other=names[1])
    if first.data_title == run.data_title:
        return _("other images of {data}").format(data=run.data_title)
    trained = run.config.recipe is not None  # of an import only the measurement is known
    words = (
        _("trained on {data}, not on {other}") if trained else _("measured on {data}, not {other}")
    )
    return words.format(data=run.data_title, other=first.data_title)


def _normalization(run: Run) -> str:
    """Its name; the numbers of one that was typed in."""
    scale = run.config.normalization
    name = scale.get("name")
    if name == "typed":
        return " / ".join(
            ", ".join(f"{value:.4g}" for value in scale.get(part, ())) for part in ("mean", "std")
        )
    if name:
        return name
    if run.config.recipe is None and isinstance(run.config.origin, Imported):
        return _("its file's own mean")
    return _("the training images' mean")


def _other_recipe(first: Run, run: Run) -> str:
    words = _("recipe {recipe}, not {other}").format(recipe=run.recipe, other=first.recipe)
    if first.recipe != run.recipe or not (first.config.recipe and run.config.recipe):
        return words
    ours, theirs = first.config.recipe.to_dict(), run.config.recipe.to_dict()
    differing = [name for name in ours if ours[name] != theirs[name]]
    return _("the recipe differs in {fields}").format(fields=", ".join(differing))


def titles() -> dict[str, str]:
    """The heading of each column, with its unit."""
    return {
        "label": _("Run"),
        "train_error": _("Training error, running (%)"),
        "train_error_clean": _("Training error, clean (%)"),
        "test_error": _("Test error (%)"),
        "mean_response": _("Mean response (std)"),
        "depth": _("Depth (layers)"),
        "shortcut": _("Shortcut option"),
        "parameters": _("Parameters"),
        "multiply_adds": _("Multiply-adds per image"),
        "image_size": _("Input size (pixels)"),
        "epochs": _("Epochs"),
        "recipe": _("Recipe"),
        "data": _("Data"),
        "n_train": _("Training images"),
        "n_test": _("Test images"),
        "seed": _("Seed"),
        "state": _("State"),
        "response_source": _("Response source"),
        "not_comparable": _("Not directly comparable"),
        "run": _("Run id"),
    }


def summary_table(info: pd.DataFrame) -> pd.DataFrame:
    """The table for people: columns of `summary_info` under their headings."""
    headings = titles()
    return info[list(headings)].rename(columns=headings)


_FORMATS: dict[str, Callable[[float], str]] = {
    "train_error": lambda value: formats.number(value, 2),
    "train_error_clean": lambda value: formats.number(value, 2),
    "test_error": lambda value: formats.number(value, 2),
    "mean_response": formats.response,
    "parameters": lambda value: formats.millions(_number(value)),
    "multiply_adds": lambda value: formats.millions(_number(value)),
}
"""Percent stands in the heading, so not behind each number."""
_USUAL_SIZE = 32
_PLAIN = (
    "image_size",
    "epochs",
    "depth",
    "shortcut",
    "recipe",
    "data",
    "seed",
    "state",
    "not_comparable",
)


def _range(n: int, low: float, high: float, written: Callable[[float], str]) -> str:
    """Behind the mean of several seeds: `(18.77 to 19.03)`."""
    if n < 2 or pd.isna(low):
        return ""
    return " " + _("({low} to {high})").format(low=written(low), high=written(high))


def _number(value: Any) -> float:
    return float("nan") if pd.isna(value) else float(value)


def summary_words(info: pd.DataFrame) -> pd.DataFrame:
    """The summary as text to read: rounded, millions as M, a dash for what is not known.

    Which columns are text is the same as in `summary_table`; ids and counts of images are left
    out, and so is a column that says nothing of any run. The input size, which multiply-adds depend
    on, is there unless it is CIFAR's for all.
    """
    words = {"label": info["label"]}
    for name, written in _FORMATS.items():
        words[name] = info[name].map(written)
        if f"{name}_low" in info:
            spreads = info[["seeds", f"{name}_low", f"{name}_high"]].itertuples(index=False)
            words[name] += [_range(*spread, written) for spread in spreads]
    for name in _PLAIN:
        words[name] = info[name].map(lambda value: "" if pd.isna(value) else str(value))
    table = pd.DataFrame(words).replace({"": formats.NONE})
    if not info["not_comparable"].any():
        table = table.drop(columns="not_comparable")
    if (info["image_size"].dropna() == _USUAL_SIZE).all():
        table = table.drop(columns="image_size")
    return table.rename(columns=titles())
