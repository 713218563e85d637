"""Take a block away: what was found of each net, and a laboratory to try it on one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from analysis.errors import LensError
from analysis.figures import lesions, readings, run_styles
from analysis.runs import Run
from analysis.text import _
from pages.common import cached, classroom, messages, show, state
from pages.lens.panels import nets
from pages.lens.panels.chooser import Subject
from pages.lens.panels.layers import pick_run


def kept(runs: Sequence[Run], highlight: str | None) -> None:
    """Errors without each block and without several, as they were found; an offer to find them."""
    found = {run.id: known for run in runs if (known := cached.learned(run, "lesions"))}
    single = lesions.single_info(runs, found)
    several = lesions.several_info(runs, found)
    if len(single):
        lines = [*lesions.single_words(single), lesions.swap_words(several)]
        st.markdown("\n".join(f"- {messages.literal(line)}" for line in lines if line))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        reading = readings.reading("refinements_lesions")
        show.figure(lesions.plot_single(single, highlight), single, "refinements_lesions", reading)
    with right:
        reading = readings.reading("refinements_several")
        figure = lesions.plot_several(several, highlight)
        show.figure(figure, several, "refinements_several", reading)
    nets.name_other_images(runs, "lesions")
    nets.offer_to_learn(
        runs, "lesions", _("Take the blocks away"),
        _("A few dozen passes of 256 test images through each net, once per run."),
    )  # fmt: skip


@st.fragment
@classroom.at_work()
def laboratory(runs: Sequence[Run], subject: Subject) -> None:
    """Weaken or remove blocks of one net, by a slider: errors on the probe, and the picture."""
    from analysis.lens.laboratory import Laboratory, Lesion, removable

    drawn = st.container()
    run = pick_run(runs, "refinements_patient")
    net = cached.net_of(run)[0]
    names = removable(net)
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
        one = Laboratory(net, cached.input_of(run, subject.pixels))
        _answer(run, words, _probe_words(run, lesion), one.intact[0], one.logits(lesion)[0])


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


def _probe_words(run: Run, lesion: Any) -> str:
    """What the lesion does to the run's test images; why not, where they can't be had."""
    try:
        bench, labels = cached.laboratory_of(run)
    except LensError as error:
        return str(error)
    logits = bench.logits(lesion)
    wrong, whole = (_percent(which.argmax(1) != labels) for which in (logits, bench.intact))
    changed = _percent(logits.argmax(1) != bench.intact.argmax(1))
    words = _(
        "{wrong:.1f} % of {n} test images wrong instead of {whole:.1f} %, another prediction for "
        "{changed:.1f} %."
    )
    return words.format(wrong=wrong, n=len(labels), whole=whole, changed=changed)


def _percent(values: Any) -> float:
    return 100 * float(values.double().mean())


def _answer(run: Run, words: str, probe: str, before: Any, after: Any) -> None:
    classes = nets.classes_of(run)
    both = [_best(logits, classes) for logits in (before, after)]
    picture = _("This picture: {before} before, {after} now.")
    shown = [messages.literal(text) for text in (words, probe)]
    st.markdown("**{}**: {} ".format(*shown) + picture.format(before=both[0], after=both[1]))


def _best(logits: Any, classes: Sequence[str]) -> str:
    probability, index = logits.double().softmax(0).max(0)
    return f"{messages.literal(classes[int(index)])} ({100 * float(probability):.0f} %)"
