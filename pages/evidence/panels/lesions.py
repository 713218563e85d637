"""Take a block away: what was found of each net, and a laboratory to try it on one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from analysis.errors import LensError
from analysis.figures import conditions, lesions, run_styles, theme
from analysis.lens import asking
from analysis.runs import Run
from analysis.runs.learned import Lesion, read_effect
from analysis.specs.plan import removable
from analysis.text import _
from pages.common import cached, classroom, errands, messages, places, show, state
from pages.lens.panels import nets
from pages.lens.panels.chooser import Subject
from pages.lens.panels.layers import pick_run


def kept(runs: Sequence[Run], highlight: str | None) -> None:
    """Errors without each block and without several, as they were found; an offer to find them."""
    found = {run.id: known for run in runs if (known := cached.learned(run, "lesions"))}
    stamps = tuple(cached.learned_stamps(run, "lesions") for run in runs)
    single, several, said = cached.made(_tables, runs, others=stamps)
    figures = cached.made(_figures, runs, highlight, others=stamps)
    if said:
        st.markdown(said)
    show.beside(figures, [single, several], (3, 2))
    nets.name_other_images(runs, "lesions")
    nets.offer_to_learn(
        runs, "lesions", _("Take the blocks away"),
        _("A few dozen passes of 256 test images through each net, once per run."),
    )  # fmt: skip
    _offer_all(runs, found)


def _tables(runs: Sequence[Run]) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """(one block removed, several, what to see)."""
    found = {run.id: known for run in runs if (known := cached.learned(run, "lesions"))}
    single = lesions.single_info(runs, found)
    several = lesions.several_info(runs, found)
    lines = [*lesions.single_words(single), lesions.swap_words(several)] if len(single) else []
    return single, several, "\n".join(f"- {messages.literal(line)}" for line in lines if line)


def _figures(runs: Sequence[Run], highlight: str | None) -> dict[str, go.Figure]:
    """Of the same, by their keys."""
    stamps = tuple(cached.learned_stamps(run, "lesions") for run in runs)
    single, several, _said = cached.made(_tables, runs, others=stamps)
    shown_of = conditions(runs)
    return {
        "refinements_lesions": theme.sign(lesions.plot_single(single, highlight), shown_of),
        "refinements_several": theme.sign(lesions.plot_several(several, highlight), shown_of),
    }


def _offer_all(runs: Sequence[Run], found: Mapping[str, Any]) -> None:
    """The same lesions on all test images, where a probe was taken: an errand for all of them."""
    all_found = all(run.id in found for run in runs)  # else the images were asked for already
    probed = [run for run in runs if run.id in found and _is_probe(run, found[run.id])]
    away = [run for run in probed if not run.has_images]
    probed = [run for run in probed if run.has_images]
    if away and all_found and not classroom.is_on():
        words = _("All lesions on all test images need the images of {nets}.")
        st.caption(words.format(nets=", ".join(dict.fromkeys(run.net for run in away))))
        places.ask(away, "all_lesions")
    if probed:
        errands.offer(
            ("lesions", *(str(run.path) for run in probed), "--images", "0"),
            _("Try all lesions on all test images"),
        )


def _is_probe(run: Run, found: Any) -> bool:
    info = run.config.images
    return bool(info and found.n_images < info.n_test)


@messages.fragment
@classroom.at_work()
def laboratory(runs: Sequence[Run], subject: Subject) -> None:
    """Weaken or remove blocks of one net, by a slider: errors on the probe, and the picture."""
    drawn = st.container()
    run = pick_run(runs, "refinements_patient")
    names = removable(run.config.net)
    with state.row():
        preset = state.choose("refinements_preset", _("Blocks"), _presets(names))
        strength = 0.0
        if run.config.net.traits.has_shortcuts:
            strength = st.slider(
                _("Strength alpha of their branches"), 0.0, 1.0, 0.0, 0.05,
                key="refinements_strength", bind=state.URL, width=300,
            )  # fmt: skip
    chosen = st.multiselect(
        _("Which"), names, default=_of_preset(preset, names),
        key=f"refinements_blocks_{run.net}_{preset}", disabled=preset != "own",
    )  # fmt: skip
    lesion = Lesion(dict.fromkeys(chosen, strength))
    with drawn:
        words = _("{net} with {count} of {all} branches at {percent:.0f} %").format(
            net=run_styles([run])[0].label, count=len(chosen), all=len(names),
            percent=100 * strength if chosen else 100,
        )  # fmt: skip
        before, after = asking.ask("lesions.on_one", run, subject.pixels, lesion)
        _answer(run, words, _probe_words(run, lesion), before, after)
        _on_all(run, lesion)


def _presets(names: Sequence[str]) -> dict[str, str]:
    stages = dict.fromkeys(name.split(".")[0].removeprefix("stage") for name in names)
    return {
        "none": _("None"),
        **{f"stage{s}": _("All of stage {stage}").format(stage=s) for s in stages},
        "other": _("Every other"),
        "random": _("A third, at random"),
        "own": _("Own choice"),
    }


def _of_preset(preset: str, names: Sequence[str]) -> list[str]:
    if preset.startswith("stage"):
        return [name for name in names if name.startswith(preset + ".")]
    if preset == "other":
        return list(names[1::2])
    if preset == "random":
        chosen = np.random.default_rng(0).choice(len(names), max(len(names) // 3, 1), False)
        return [names[i] for i in sorted(chosen)]
    return []


def _probe_words(run: Run, lesion: Lesion) -> str:
    """What the lesion does to the run's test images; why not, where they can't be had."""
    if not run.has_images:
        return _("The images of {run} are not on this machine.").format(run=run.net)
    try:
        found = asking.ask_for_effect(run, lesion)
    except LensError as error:
        return str(error)
    return lesions.effect_words(found)


def _on_all(run: Run, lesion: Lesion) -> None:
    """The same over all test images, on request: an errand, since it takes a minute or more."""
    changed = [name for name, strength in lesion.strengths.items() if strength != 1]
    if not run.has_images:
        places.ask([run], "laboratory")
        return
    if not changed:
        return
    found = read_effect(run, lesion)
    if found:
        st.markdown(messages.literal(lesions.effect_words(found)))
        return
    strength = lesion.strengths[changed[0]]
    errands.offer(
        ("lesions", str(run.path), "--blocks", ",".join(changed), "--strength", str(strength)),
        _("Try it on all test images"),
    )


def _answer(run: Run, words: str, probe: str, before: np.ndarray, after: np.ndarray) -> None:
    classes = nets.class_words(run)
    both = [_best(logits, classes) for logits in (before, after)]
    picture = _("This picture: {before} before, {after} now.")
    shown = [messages.literal(text) for text in (words, probe)]
    st.markdown("**{}**: {} ".format(*shown) + picture.format(before=both[0], after=both[1]))


def _best(logits: np.ndarray, classes: Sequence[str]) -> str:
    index, shares = int(logits.argmax()), np.exp(logits.astype(np.float64) - logits.max())
    return f"{messages.literal(classes[index])} ({100 * shares[index] / shares.sum():.0f} %)"
