"""The form: which nets, which data, which recipe; what that takes, and its command lines."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from analysis import jobs
from analysis.errors import LensError
from analysis.jobs import estimate
from analysis.runs import default_folder
from analysis.runs.stamps import stamp
from analysis.specs import KINDS, Compute, DataSpec, plan
from analysis.specs.datasets import DATASETS, LARGEST, SMALLEST
from analysis.text import _
from pages.common import cached, messages, state
from pages.common.words import duration
from pages.training import actions

DEPTHS = (8, 18, 20, 32, 34, 44, 50, 56, 101, 110, 152)


def choose_trainings() -> list[jobs.Request]:
    """The trainings that the controls ask for; what makes no sense is said in their place."""
    with st.container(border=True):
        nets = _nets()
        left, right = st.columns(2, gap="medium")
        with left:
            data_name = state.choose("train_data", _("Data"), {
                "digits": _("Digits"),
                **{name: known.title for name, known in DATASETS.items() if known.source},
                "folder": _("Folder")},
                _("Digits need no download. CIFAR is downloaded the first time."))  # fmt: skip
            path = ""
            if data_name == "folder":
                path = st.text_input(
                    _("Folder with train/ and test/, each with a folder a class"),
                    key="train_folder", bind=state.URL,
                )  # fmt: skip
        with right:
            recipe = state.choose("train_recipe", _("Recipe"), {
                "quick": _("Quick"), "short": _("Short"), "paper": _("The paper's")},
                _("Quick: 8 epochs of at most 2,560 images. Short: 30 epochs, cosine schedule. "
                  "The paper's: 64k iterations, section 4.2."))  # fmt: skip
        changes, seed, compute, name, resize, title = _advanced()
        try:
            text = f"folder:{path}" if data_name == "folder" else data_name
            data = DataSpec.parse(text, title, resize if data_name == "folder" else None)
            return jobs.requests_for(nets, data, recipe, changes, seed, compute, name)
        except LensError as error:
            st.error(messages.literal(str(error)))
            return []


def _nets() -> list[str]:
    kinds, depths, more = st.columns([4, 3, 3], gap="medium")
    names = {info.prefix: str(info.title).capitalize() for info in KINDS.values()}
    # To begin with, the two that the paper compares: each is the other's twin.
    pair = [info.prefix for kind, info in KINDS.items() if KINDS[info.twin].twin == kind]
    with kinds:
        chosen = st.pills(
            _("Nets"), list(names), selection_mode="multi", default=pair,
            format_func=names.__getitem__, key="train_kinds", bind=state.URL, wrap=True,
        )  # fmt: skip
    with depths:
        layers = st.multiselect(
            _("Depths"), DEPTHS, default=[20], key="train_depths", bind=state.URL,
            help=_("18, 34, 50, 101 and 152 are the nets of Table 1; the others have depth 6n+2."),
        )  # fmt: skip
    with more:
        others = st.text_input(
            _("Others, by name"), key="train_names", bind=state.URL,
            placeholder="resnet-34-w16, resnet-20-B",
        )  # fmt: skip
    return [f"{kind}-{depth}" for depth in layers for kind in chosen] + others.split(",")


def _advanced() -> tuple[dict[str, Any], int, Compute, str, int | None, str]:
    with st.expander(_("Advanced")):
        first, second, third = st.columns(3, gap="medium")
        from_recipe = _("from the recipe")

        def number(place, label: str, key: str, empty: str = from_recipe, **limits: Any):
            with place:
                return st.number_input(
                    label, value=None, key=f"train_{key}", bind=state.URL,
                    placeholder=empty, **limits,
                )  # fmt: skip

        changes = {
            "epochs": number(first, _("Epochs"), "epochs", min_value=1, step=1),
            "batch_size": number(first, _("Batch size"), "batch", min_value=1, step=1),
            "lr": number(second, _("Learning rate"), "lr", min_value=0.0, format="%g"),
            "weight_decay": number(
                second, _("Weight decay"), "decay", min_value=0.0, max_value=0.99, format="%g"
            ),
            "validation": number(
                first,
                _("Images held out for validation"),
                "validation",
                _("none"),
                min_value=0,
                step=1,
            ),
        }
        with second:
            seed = st.number_input(
                _("Seed"), 0, value=0, step=1, key="train_seed", bind=state.of_number("train_seed")
            )
            title = st.text_input(_("Name of the data in figures"), key="train_title")
        with third:
            device = st.selectbox(
                _("Device"), ["auto", "cpu", "cuda", "mps"], key="train_device", bind=state.URL
            )
            precision = st.selectbox(
                _("Precision"), ["auto", "float32", "bfloat16"],
                key="train_precision", bind=state.URL,
            )  # fmt: skip
            name = st.text_input(_("Name of the run"), key="train_name", placeholder=_("automatic"))
        threads = number(third, _("CPU threads"), "threads", _("automatic"), min_value=1, step=1)
        resize = number(
            first, _("Resize a folder's images to (pixels)"), "resize", _("as they are"),
            min_value=SMALLEST, max_value=LARGEST, step=1,
        )  # fmt: skip
        with second:
            augment = st.toggle(_("Crops and flips"), True, key="train_augment", bind=state.URL)
    given = {key: value for key, value in changes.items() if value is not None}
    if not augment:
        given["augment"] = False
    compute = Compute(device, precision, threads=threads)  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    return given, int(seed), compute, name.strip(), resize, title.strip()


def offer_start(asked: list[jobs.Request]) -> None:
    """What the trainings will take, their command lines, and the button."""
    if not asked:
        st.info(_("Choose at least one net and a depth."))
        return
    folder = default_folder()
    runs, _damaged = cached.list_runs()
    timed = stamp(folder / estimate.RATES)
    rates = cached.made(estimate.known_rates, runs, str(folder), others=timed)
    found = [estimate.estimate(request, rates) for request in asked]
    st.dataframe(_table(asked, found), hide_index=True, key="train_estimate")
    st.caption(_reading(found))
    with state.row():
        label = _("Start {count} trainings") if len(asked) > 1 else _("Start the training")
        st.button(
            label.format(count=len(asked)), type="primary", key="train_start",
            icon=":material/play_arrow:", on_click=actions.start, args=(asked,),
        )  # fmt: skip
        st.button(
            _("Estimate speed"), key="train_time", on_click=actions.time_steps, args=(asked,),
            help=_("Trains each net for some seconds on random images, for a better estimate."),
        )  # fmt: skip
        number = jobs.at_a_time(folder)
        st.number_input(
            _("Run in parallel"), 1, 64, number, key="train_at_a_time",
            on_change=actions.set_at_a_time, width=150,
            help=_("How many train at once; the others wait in the queue."),
        )  # fmt: skip
    with st.expander(_("The same from the command line")):
        st.code("\n".join(request.command(folder) for request in asked), "bash", wrap_lines=True)
        st.caption(_("Add `--queue` to train in the background."))


def _table(asked: list[jobs.Request], found: list[estimate.Estimate]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            _("Net"): [e.net for e in found],
            _("Parameters"): [f"{plan.parameters(r.net):,}" for r in asked],
            _("Time, about"): ["?" if e.seconds is None else duration(e.seconds) for e in found],
            _("Images/s"): ["" if not e.images_per_second else f"{e.images_per_second:,.0f}"
                            for e in found],
            _("Disk (MiB)"): [f"{e.disk / 2**20:.1f}" for e in found],
            _("Memory (GiB)"): [f"{e.memory / 2**30:.1f}" for e in found],
        }
    )  # fmt: skip


def _reading(found: list[estimate.Estimate]) -> str:
    """What the estimate rests on."""
    bases = {e.basis for e in found}
    nets = ", ".join(sorted({e.based_on for e in found if e.based_on}))
    if "none" in bases:
        return _("No training is known yet to estimate the time from: estimate speed.")
    if "elsewhere" in bases:
        return _("Time: a guess, from the bundled runs on another machine, by multiply-adds. "
                 "Estimate speed for this machine.")  # fmt: skip
    if bases == {"same"}:
        words = _("Time: from earlier trainings or timed steps of {nets} on this machine.")
    else:
        words = _("Time: from {nets} on this machine, scaled by multiply-adds.")
    return words.format(nets=nets)
