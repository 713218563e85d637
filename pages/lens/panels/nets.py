"""What a pass over a data set would add to the page: an offer to make it, or the command for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from analysis.commands import command, name_of
from analysis.errors import LensError
from analysis.escape import as_code
from analysis.runs import Run
from analysis.text import _
from pages.common import cached, classroom, messages, places


def classes_of(run: Run) -> tuple[str, ...]:
    """Class names of a run; numbers where it has none."""
    info = run.config.images
    return info.classes if info else tuple(str(i) for i in range(run.config.net.classes))


def class_word(name: str) -> str:
    """A class of CIFAR-10 in the reader's language; any other as its data set calls it."""
    words = {
        "airplane": _("airplane"), "automobile": _("automobile"), "bird": _("bird"),
        "cat": _("cat"), "deer": _("deer"), "dog": _("dog"), "frog": _("frog"),
        "horse": _("horse"), "ship": _("ship"), "truck": _("truck"),
    }  # fmt: skip
    return words.get(name, name)


def class_words(run: Run) -> tuple[str, ...]:
    """`classes_of` in the reader's language."""
    return tuple(map(class_word, classes_of(run)))


def offer_to_learn(runs: Sequence[Run], lesson: cached.Lesson, label: str, why: str) -> None:
    """A button for what a pass over the data set would add, where a run has no such thing yet.

    Where the images are not on this machine: the command that takes others in their place.
    """
    missing = [run for run in runs if cached.learned(run, lesson) is None]
    if not missing:
        return
    if classroom.is_on():
        words = _("Not measured on this server yet: {nets}.")
        st.caption(words.format(nets=", ".join(dict.fromkeys(run.net for run in missing))))
        return
    st.caption(why)
    here = [run for run in missing if run.has_images]
    if here and st.button(label, key=f"image_make_{lesson}", icon=":material/database:"):
        for run in here:
            _learn(run, lesson)
        st.rerun()
    away = [run for run in missing if run not in here]
    if away:
        words = _("{run}: {data}")
        unnamed = _("no data set is named")
        lines = [words.format(run=run.net, data=_place(run) or unnamed) for run in away]
        why = _("The images of these nets are not on this machine ({nets}).")
        verb = "lesions" if lesson == "lesions" else "survey"
        say_how(away, why.format(nets="; ".join(lines)), verb, lesson)


def say_how(runs: Sequence[Run], why: str, verb: str = "survey", where: str = "survey") -> None:
    """Ask where the images are; else the command that takes others, and why it is needed."""
    st.info(why, icon=":material/database_off:")
    if classroom.is_on():
        return
    places.ask(runs, where)
    st.caption(
        _(
            "With other images of the same classes, this command makes what is missing; this page "
            "shows it from then on."
        )
    )
    shown = command(verb, *map(name_of, runs), "--data", "folder:PATH")
    st.code(shown, "bash", wrap_lines=True)


def _place(run: Run) -> str:
    data = run.config.data
    return f"{messages.literal(data.title)}, {as_code(data)}" if data else ""


def name_other_images(runs: Sequence[Run], lesson: cached.Lesson) -> None:
    """Say of which runs the images were not those that they were trained on."""
    words = _("{run}: of {data}, not of the images that it was trained on")
    lines = []
    for run in runs:
        found = cached.learned(run, lesson)
        if found is not None and found.origin and not found.origin.is_own(run):
            lines.append(words.format(run=run.net, data=messages.literal(found.origin.data.title)))
    if lines:
        st.caption("; ".join(lines) + ".")


def _learn(run: Run, lesson: cached.Lesson) -> None:
    from analysis.lens.lesions import make_lesions
    from analysis.lens.readout import make_readouts
    from analysis.lens.survey import make_survey

    words = _("{run}: {done} of {total} images")
    if lesson == "lesions":
        words = _("{run}: {done} of {total} lesions")
    bar = st.progress(0.0, words.format(run=run.net, done=0, total="..."))

    def tell(done: int, total: int) -> None:
        bar.progress(min(done / total, 1.0), words.format(run=run.net, done=done, total=total))

    makers: dict[cached.Lesson, Callable[..., Any]] = {
        "survey": make_survey, "readouts": make_readouts, "lesions": make_lesions,
    }  # fmt: skip
    try:
        makers[lesson](run, *cached.net_of(run), progress=tell)
    except LensError as error:
        st.error(messages.literal(str(error)))
        st.stop()
