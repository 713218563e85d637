"""The paper's argument: claims, depth against error, construction, fitting the identity."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from analysis import claims, jobs
from analysis.errors import LensError
from analysis.figures import depth, identity
from analysis.runs import Run, default_folder, load_run
from analysis.spec import DataSpec, Recipe
from analysis.text import _
from pages.common import cached, messages, show, state


def pick_group(runs: list[Run]) -> list[Run]:
    """The runs of one data set and recipe."""
    groups = claims.groups(runs)
    if not groups:
        return []
    names = {key: f"{own[0].data_title}, {own[0].recipe}" for key, own in groups.items()}
    keys = sorted(groups, key=lambda key: -len(groups[key]))
    chosen = st.selectbox(_("Data and recipe"), keys, format_func=lambda key: names[key])
    return groups[chosen]


def claim_table(runs: list[Run]) -> None:
    """Each claim with its verdict, and what would complete the evidence."""
    states = {"holds": _("holds"), "fails": _("fails"), "missing": _("not enough runs")}
    rows, commands = [], []
    for claim, verdict in claims.evaluate(runs):
        rows.append(
            {
                _("Claim"): claim.words(),
                _("Section"): claim.section,
                _("Verdict"): states[verdict.state],
                _("Evidence"): "; ".join(verdict.evidence),
                _("In the paper"): claim.paper(),
                _("Rule"): claim.rule(),
                _("Shown on"): f"/{claim.page}",
            }
        )
        commands += [net.name for net in verdict.wanted if verdict.state == "missing"]
    reading = _("Verdicts compare these runs with each other by the stated rule.")
    if not all(claims.comparable_with_paper(run) for run in runs):
        reading += " " + _(
            "These are not whole CIFAR-10 under the paper's recipe: their errors are not "
            "to be held against Table 6."
        )
    show.table(pd.DataFrame(rows), "argument_claims", reading)
    if commands:
        missing_runs(list(dict.fromkeys(commands)), runs)


def missing_runs(nets: list[str], runs: list[Run]) -> None:
    """The commands that make the nets that are wanting, and a button that queues them."""
    recipe = runs[0].config.recipe if runs else Recipe.parse("short")
    data = (runs[0].config.data if runs else None) or DataSpec.parse("digits")
    assert recipe is not None
    preset = Recipe.parse(recipe.name)
    names = ("epochs", "batch_size", "lr", "weight_decay", "validation")
    changes = {n: getattr(recipe, n) for n in names if getattr(recipe, n) != getattr(preset, n)}
    try:
        requests = jobs.requests_for(nets, data, recipe.name, changes)
    except LensError as error:
        st.warning(str(error))
        return
    with st.expander(_("Commands that would make the missing runs")):
        st.code("\n".join(request.command() for request in requests), "bash")
        chosen = st.multiselect(
            _("Queue these"), requests, requests[:1], format_func=lambda request: request.net.name
        )
        if st.button(_("Train in the background"), icon=":material/playlist_add:") and chosen:
            jobs.enqueue(chosen, default_folder())
            jobs.start_worker(default_folder())
            st.success(_("Queued: {runs}").format(runs=", ".join(r.net.name for r in chosen)))


def depth_figure(runs: list[Run]) -> None:
    """Error against depth and the gap with its sign."""
    info = depth.depth_info(runs)
    reading = _("Degradation is a gap above 0: the deeper net has the higher *training* error.")
    show.figure(depth.plot_depth(info), info, "argument_depth", reading)
    gaps = depth.gap_info(info)
    for row in gaps.itertuples():
        words = _("{deep} minus {shallow}: {gap:+.2f} points of training error")
        st.markdown("- " + words.format(deep=row.deep, shallow=row.shallow, gap=row.gap))  # ty: ignore[missing-attribute]


def construction(runs: list[Run]) -> None:
    """Deepen a run's net, show that it is the same function, and keep it."""
    known = {run.id: run for run in runs if run.state == "finished"}
    if not known:
        st.info(_("No finished run to build on yet."))
        return
    with state.row():
        chosen = st.selectbox(_("Shallower net"), list(known), key="argument_base")
        family = known[chosen].config.net
        depths = [
            n
            for n in (34, 101, 152, 20, 32, 44, 56, 110)
            if n > family.depth and (n in (34, 101, 152)) == (family.family == "imagenet")
        ]
        wanted = st.selectbox(_("Layers of the deeper net"), depths, key="argument_depth_wanted")
        pressed = st.button(_("Construct"), icon=":material/construction:")
    if not pressed:
        return
    from analysis.lens.constructed_runs import compare_runs, construct_run

    try:
        with st.spinner(_("Constructing and measuring; a minute or so.")):
            made = load_run(construct_run(known[chosen], wanted, default_folder()))
            table, before, after = compare_runs(known[chosen], made)
    except LensError as error:
        st.error(str(error))
        return
    words = _(
        "Training error {a:.4f} % before, {b:.4f} % after; test error {c:.4f} % and {d:.4f} %."
    )
    st.success(words.format(a=before[0], b=after[0], c=before[1], d=after[1]))
    show.table(
        table,
        "argument_blocks",
        _(
            "Largest absolute difference of each block's output, in "
            "evaluation mode. In training mode BN uses each batch's statistics, so a plain "
            "identity is then only close to one; with F = 0 it stays exact."
        ),
    )
    st.code(f"python -m analysis construct {chosen} {wanted} --train short", "bash")


def fitting() -> None:
    """Fit the identity, live."""
    from analysis.lens.identity import IdentityTask, fit_identity

    with state.row():
        layers = st.number_input(_("Layers"), 2, 64, 8, 2)
        steps = st.number_input(_("Steps"), 50, 5000, 500, 50)
        rate = st.number_input(_("Learning rate"), 0.0001, 10.0, 0.05, format="%.4f")
        optimizer = st.selectbox(_("Optimiser"), ["sgd", "adam"])
        perturbation = st.number_input(_("Perturbation"), 0.0, 10.0, 0.0, 0.05)
        seed = st.number_input(_("Seed"), 0, 10_000, 0)
        bn, relu = st.toggle("BN", True), st.toggle("ReLU", True)
        signed = st.toggle(_("Signed inputs"), False)
        pressed = st.button(_("Fit"), icon=":material/play_arrow:")
    if not pressed:
        return
    place = st.empty()
    try:
        task = IdentityTask(
            int(layers),
            16,
            int(steps),
            optimizer,  # ty: ignore[invalid-argument-type]
            rate,
            bn,
            relu,
            signed,
            perturbation,
            seed=int(seed),
        )

        def draw(step, fit):
            figure = identity.plot_losses(fit.losses, fit.floor, task.steps)
            place.plotly_chart(figure, key=f"argument_live_{step}")

        fit = fit_identity(task, draw)
    except LensError as error:
        st.error(str(error))
        return
    place.empty()
    reading = _(
        "A loss of 1 is an output of 0. The residual net has only to bring F to 0; the plain "
        "one has to find kernels that copy (section 3.1)."
    )
    show.figure(
        identity.plot_losses(fit.losses, fit.floor, task.steps),
        fit.losses,
        "argument_loss",
        reading,
    )
    for place, column in zip(st.columns(2), ("gradient_norm", "dirac_distance"), strict=True):
        with place:
            words = _("First and last step. 0 is a Dirac kernel up to scale, 1 has none of it.")
            figure = identity.plot_layers(fit.layers, column)
            show.figure(figure, fit.layers, f"argument_{column}", words)


st.title(_("The paper's argument"))
everything, damaged = cached.list_runs()
group = pick_group(everything)
st.header(_("The claims"))
claim_table(group)
st.header(_("Depth against error"))
depth_figure(group)
st.header(_("The solution by construction"))
st.markdown(
    _(
        "Insert identity layers into a trained net (section 1): a deeper net with the very "
        "same function exists, so a deeper net's training error need not be higher."
    )
)
construction(everything)
st.header(_("Why is the identity hard?"))
st.markdown(_("Fit H(x) = x, or x and a small perturbation, with plain and with residual layers."))
fitting()
messages.list_damaged(damaged)
