"""A static site of runs for a class: Compare, Small refinements, The argument, in each language.

Made of the same figures and sentences as the app's pages. It opens from a folder or from any web
server, asks no other host for anything, and is light or dark as the visitor's system is. What
needs a net (lesions, similarity) comes from `Learned`, which the command fills: no torch here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import figures
from analysis.errors import RunError
from analysis.escape import csv_text, for_html, for_markdown
from analysis.evidence import claims, presets
from analysis.evidence.continuation import built_runs, study
from analysis.evidence.verdicts import Claim, Verdict
from analysis.figures import (
    construction,
    curves,
    depth,
    html,
    lesions,
    readings,
    refinement,
    refinement_depth,
    refinement_training,
    responses,
    sentences,
    similarity,
    theme,
    verdicts,
)
from analysis.figures.report import summary
from analysis.figures.site_page import MARK, STYLE, Page, place, tables_in
from analysis.runs import Comparable, Run
from analysis.runs.files import exists, is_folder, remove, told, write_text
from analysis.runs.names import run_names
from analysis.text import LANGUAGES, _, language


@dataclass(frozen=True)
class Learned:
    """What is known of nets from passes of images; by default nothing."""

    of_run: Callable[[Run, str], Any] = lambda run, lesson: None
    """`runs.learned.Lesions` for "lesions", `Readouts` for "readouts", or None."""
    of_pair: Callable[[Run, Run], Any] = lambda first, second: None
    """Their `runs.learned.Similarity`, or None."""


def publish(
    folder: Path, everything: Sequence[Comparable], chosen: Sequence[Comparable] = (),
    learned: Learned | None = None,
) -> list[Path]:  # fmt: skip
    """Write the site: an index.html and its companions, in each language.

    Args:
        folder: made where it is not there; an earlier site in it is replaced, its tables too.
        everything: the runs at hand, whole; by default the paper's comparisons of them are shown.
        chosen: the only ones to show, the reference first.
        learned: what the command knows of nets.

    Returns:
        The files, the first page first.

    Raises:
        RunError: the folder is a file, has other things in it, or can't be written.
        RunDamaged: a table of a run is not whole.
    """
    _check(folder)
    shown, learned = list(chosen or everything), learned or Learned()
    if not shown:
        raise RunError("there is no run to publish; train one first")
    files: dict[str, str] = {}
    tables: dict[str, pd.DataFrame] = {}
    for code in LANGUAGES:
        token = language.set(code)
        try:
            titles = {name: title for name, (title, _build) in _pages().items()}
            for name, (title, build) in _pages().items():
                page = Page(code)
                build(page, shown, bool(chosen), learned)
                tables = {**page.tables, **tables}  # of the first language: labels have words
                files[place(code, name)] = page.whole(name, title, titles)
        finally:
            language.reset(token)
    files["assets/plotly.js"] = f'window.packedPlotly = "{html.packed_plotly()}"\n'
    looks = {mode: look.to_plotly_json() for mode, look in theme.TEMPLATES.items()}
    files["assets/site.js"] = f"window.templates = {json.dumps(looks)};\n{html.DRAW}"
    files["assets/site.css"] = STYLE
    files |= {f"data/{name}.csv": csv_text(table) for name, table in tables.items()}
    for where in _tables(folder) - files.keys():  # of runs that are not shown any more
        remove(folder / where)
    for where, text in files.items():
        path = folder / where
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    return [folder / where for where in files]


def _check(folder: Path) -> None:
    """Refuse a folder that is somebody else's."""
    if exists(folder) and not is_folder(folder):
        raise RunError("{where} is a file; name a folder for the site", where=folder)
    with told(folder):
        if not exists(folder) or not any(folder.iterdir()):
            return
    with suppress(OSError, UnicodeDecodeError):
        if MARK in (folder / "index.html").read_text(encoding="utf-8")[:1000]:
            return
    raise RunError(
        "{where} is not empty and holds no earlier site; name a new folder", where=folder
    )


def _tables(folder: Path) -> set[str]:
    """The tables of an earlier site: those that its pages link; nothing else there is ours."""
    found: set[str] = set()
    for code in LANGUAGES:
        for name in _pages():
            with suppress(OSError, UnicodeDecodeError):
                found.update(tables_in((folder / place(code, name)).read_text(encoding="utf-8")))
    return found


def _pages() -> dict[str, tuple[str, Callable[[Page, list[Comparable], bool, Learned], None]]]:
    """Title and contents by the name of the file."""
    return {
        "index": (_("Plain vs residual nets"), _compare),
        "refinements": (_("Small refinements"), _refinements),
        "argument": (_("The paper's argument"), _argument),
    }


def _compare(page: Page, runs: list[Comparable], is_choice: bool, learned: Learned) -> None:
    for name, heading, group in _comparisons(runs, is_choice):
        if heading:
            page.heading(heading)
        info = figures.error_curves_info(group)
        drawn = curves.over_seeds(info, group)
        fitting, bare = curves.fitting_arrangement(group), figures.without_history(group)
        figure = figures.plot_error_curves(drawn, arrangement=fitting, without=bare)
        said = sentences.of_curves(drawn)
        page.figure("compare_errors", figure, info, group, said, f"{name}_errors")
        info = figures.responses_info(group)
        drawn = responses.over_seeds(info, group)
        said, figure = sentences.of_responses(drawn), figures.plot_responses(drawn)
        page.figure("compare_responses", figure, info, group, said, f"{name}_responses")
        page.parts.append(html.table(summary(group)))
        page.words(readings.reading("compare_summary"))


def _comparisons(
    runs: list[Comparable], is_choice: bool
) -> list[tuple[str, str, Sequence[Comparable]]]:
    """(file's name, heading, runs): those asked for, else the comparisons of the paper."""
    own = [run for run in runs if isinstance(run, Run)]
    first = presets.first_choice(own) or runs[:1]
    if is_choice or not own:
        return [("compare", "", runs)]
    found: list[tuple[str, str, Sequence[Comparable]]] = [("compare", "", first)]
    titles = presets.titles()
    for name, group in presets.presets(own).items():
        known = [{run.id for run in others} for _name, _heading, others in found]
        if name != "twin" and {run.id for run in group} not in known:
            found.append((f"compare_{name}", titles[name], group))
    return found


def _refinements(page: Page, runs: list[Comparable], is_choice: bool, learned: Learned) -> None:
    page.words(readings.opening("refinements"))
    own = [run for run in runs if isinstance(run, Run)]
    picked = runs if is_choice else presets.default_depths(own) or runs[:1]
    info = refinement.refinement_info(picked)
    said = f"**{for_markdown(refinement.median_words(info))}**" if len(info) else ""
    reading = for_markdown(refinement.trained_words(info) or _("Lower is a smaller refinement."))
    drawn = refinement.plot_by_block(info)
    page.figure("refinements_blocks", drawn, info, picked, said, reading=reading)
    drawn = refinement.plot_sorted(info)
    page.figure("refinements_sorted", drawn, info.sort_values(["run", "rank"]), picked)
    trained = [run for run in picked if isinstance(run, Run)]
    if trained:
        page.heading(_("The deeper, the smaller"))
        group = [run for run in own if run.comparison_key == trained[0].comparison_key]
        by_depth = refinement_depth.by_depth_info(group)
        drawn = refinement_depth.plot_by_depth(by_depth, "ratio")
        page.figure("refinements_depth", drawn, by_depth, group)
        drawn = refinement_depth.plot_by_depth(by_depth, "response")
        page.figure("refinements_responses", drawn, by_depth, group)
    _by_decay(page, presets.by_decay(own))
    if len(info):
        page.heading(_("Which direction is kept"))
        said = f"**{for_markdown(refinement.direction_words(info))}**"
        drawn = refinement.plot_by_block(info, "cosine")
        page.figure("refinements_cosine", drawn, info, picked, said)
        page.figure("refinements_drift", refinement.plot_by_block(info, "drift"), info, picked)
    _over_training(page, picked)
    _lesions(page, trained, learned)
    _depth_bought(page, trained, learned)


def _by_decay(page: Page, runs: Sequence[Run]) -> None:
    if not runs:
        return
    page.heading(_("What weight decay does"))
    info = figures.responses_info(runs)
    said = f"**{sentences.of_decay(runs)}**"
    page.figure("refinements_decay", figures.plot_responses(info), info, runs, said)
    info = refinement.refinement_info(runs)
    page.figure("refinements_decay_ratio", refinement.plot_by_block(info), info, runs)


def _over_training(page: Page, picked: Sequence[Comparable]) -> None:
    page.heading(_("Over training"))
    for measure in refinement_training.measures():
        course = refinement_training.training_info(picked, measure)
        if course.empty:
            continue
        said = f"**{for_markdown(refinement_training.course_words(course))}**"
        drawn = refinement_training.plot_training(course, measure)
        name = f"refinements_training_{measure}"
        page.figure("refinements_training", drawn, course, picked, said, name)


def _lesions(page: Page, runs: Sequence[Run], learned: Learned) -> None:
    found = {run.id: known for run in runs if (known := learned.of_run(run, "lesions"))}
    if not found:
        return
    page.heading(_("Take a block away"))
    single, several = lesions.single_info(runs, found), lesions.several_info(runs, found)
    said = [*lesions.single_words(single), lesions.swap_words(several)]
    page.bullets([for_markdown(line) for line in said])
    page.figure("refinements_lesions", lesions.plot_single(single), single, runs)
    page.figure("refinements_several", lesions.plot_several(several), several, runs)


def _depth_bought(page: Page, runs: Sequence[Run], learned: Learned) -> None:
    fitted = {run.id: known for run in runs if (known := learned.of_run(run, "readouts"))}
    pair = learned.of_pair(runs[0], runs[-1]) if runs else None
    if fitted or pair is not None:
        page.heading(_("What depth bought"))
    if pair is not None:
        labels = [style.label for style in figures.run_styles([runs[0], runs[-1]])]
        info = similarity.similarity_info(pair)
        said = f"**{for_markdown(similarity.similarity_words(info, labels[0], labels[-1]))}**"
        drawn = similarity.plot_similarity(info, labels[0], labels[-1])
        page.figure("refinements_similarity", drawn, info, [runs[0], runs[-1]], said)
    if fitted:
        info = similarity.readouts_info(runs, fitted)
        page.figure("refinements_readouts", similarity.plot_readouts(info), info, runs)


def _argument(page: Page, runs: list[Comparable], is_choice: bool, learned: Learned) -> None:
    page.words(readings.opening("argument"))
    own = [run for run in runs if isinstance(run, Run)]
    group = max(claims.groups(own).values(), key=len, default=[])
    info = depth.depth_info(group)
    said = sentences.of_depth(info)
    page.figure("argument_depth", depth.plot_depth(info), info, group, said)
    page.bullets(depth.gap_words(depth.gap_info(info)))
    page.heading(_("The claims"))
    cards = "".join(_card(page, group, *judged) for judged in claims.evaluate(group))
    page.parts.append(f'<div class="cards">{cards}</div>')
    page.words(verdicts.reading(group))
    made = built_runs(own)
    page.heading(_("The solution by construction"))
    page.words(readings.opening("construction"))
    for number, run in enumerate(made[:3], start=1):
        found = study(run, own)
        page.words(construction.same_function_words(run))
        info = construction.construction_info(found)
        behind = [run, *found.trained_on, *found.scratch]
        drawn, name = construction.plot_construction(info), f"argument_construction_{number}"
        page.figure("argument_study_figure", drawn, info, behind, name=name)
        kept = construction.kept_words(info, run_names(own))
        page.bullets([for_markdown(line) for line in kept])


def _card(page: Page, runs: Sequence[Run], claim: Claim, verdict: Verdict) -> str:
    """A claim: its verdict, a picture of the numbers, folded away the rule, data and commands."""
    state = "disputed" if verdict.disputed else verdict.state
    lines = "".join(f"<li>{html.words(one)}</li>" for one in verdicts.beyond_the_table(verdict))
    picture = table = behind = ""
    if not verdict.numbers:
        picture = f"<p>{html.words(_in_words(verdict))}</p>"
    else:
        info = verdicts.numbers_info(verdict)
        drawn = verdicts.plot_numbers(info, claim.quantity())
        picture = html.figure(drawn, f"{claim.words()} {'; '.join(verdict.evidence)}", mode=None)
        table = html.table(verdicts.numbers_words(verdict))
        name = f"claim_{claim.id}".replace("-", "_")
        own = [run for run in runs if run.id in verdict.runs]
        behind = page.behind(name, info.drop(columns="series"), own)
    rule = "".join(f"<p>{html.words(text)}</p>" for text in verdicts.rule_words(claim, verdict))
    return (
        f'<section class="claim {state}"><p class="verdict">'
        f"{for_html(claims.verdict_words(verdict))}</p>"
        f"<h3>{html.words(claim.words())}</h3>{picture}"
        f"<details><summary>{_('Rule and numbers')}</summary>{table}"
        f"<ul>{lines}</ul>{rule}</details>{behind}</section>"
    )


def _in_words(verdict: Verdict) -> str:
    """Of a verdict without numbers: what it rests on, or which runs it needs."""
    if verdict.evidence:
        return verdict.evidence[0]
    nets = ", ".join(net.name for net in verdict.wanted)
    return _("Needs a finished run of {nets}.").format(nets=nets) if nets else ""
