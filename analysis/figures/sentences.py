"""One sentence above each figure, written from its numbers: what is to be seen in it; Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis import formats
from analysis.escape import for_markdown
from analysis.evidence.claims import mean_response, test_error
from analysis.runs import Run
from analysis.specs import NetSpec
from analysis.specs.costs import title_of
from analysis.text import _

MOST = 3
"""Comparisons that a sentence names."""


def of_curves(info: pd.DataFrame) -> str:
    """Training errors at the end: deep beside shallow of each kind, else plain beside residual."""
    if info.empty:
        return ""
    last = info.sort_values("epoch").groupby("run", sort=False).tail(1)
    found = _ladders(last)
    parts = []
    for shallow, deep in found[:MOST]:
        a, b = shallow["train_error"], deep["train_error"]
        words = _("{shallow} {a}, {deep} {b}: {verdict}").format(
            verdict=_verdict(b - a, max(_spread(shallow), _spread(deep))),
            **{name: f"{{{name}}}" for name in ("deep", "shallow", "a", "b")},
        )
        parts.append(_pair(words, shallow, deep, _percent(a), _percent(b)))
    for plain, residual in [] if found else _twins(last)[:MOST]:
        a, b = (_percent(row["train_error"]) for row in (plain, residual))
        parts.append(_pair(_("{shallow} {a}, {deep} {b}"), plain, residual, a, b))
    if not parts:
        named = last.head(2 * MOST)
        parts = [
            f"{for_markdown(label)} {_percent(error)}"
            for label, error in zip(named["label"], named["train_error"], strict=True)
        ]
    return _("Training error (running): {errors}.").format(errors=_("; ").join(parts))


def _verdict(gap: float, spread: float) -> str:
    """Of a deeper net beside a shallower one; a gap within the seeds' range decides nothing."""
    if abs(gap) <= max(spread, 0.05):
        return _("no clear difference")
    return _("deeper is **worse**") if gap > 0 else _("deeper is better")


def _spread(row: Mapping[str, Any]) -> float:
    return row.get("train_error_high", 0.0) - row.get("train_error_low", 0.0)


def of_responses(info: pd.DataFrame) -> str:
    """Mean responses of plain nets beside their residual twins."""
    if info.empty:
        return ""
    styles = info.drop_duplicates("run").drop(columns="std")
    means = styles.merge(info.groupby("run", sort=False)["std"].mean().reset_index(), on="run")
    twins = _twins(means)
    parts = [
        _pair(_("{shallow} {a}, {deep} {b}"), plain, residual,
              formats.response(plain["std"]), formats.response(residual["std"]))
        for plain, residual in twins[:MOST]
    ]  # fmt: skip
    if not parts:
        named = means.head(2 * MOST)
        parts = [f"{for_markdown(label)} {formats.response(std)}"
                 for label, std in zip(named["label"], named["std"], strict=True)]  # fmt: skip
        return _("Mean response: {means}.").format(means=_("; ").join(parts))
    smaller = sum(residual["std"] < plain["std"] for plain, residual in twins)
    words = _("Mean response: {means}. Smaller in the residual net in {smaller} of {count} pairs.")
    if len(twins) == 1:
        words = (
            _("Mean response: {means}: smaller in the residual net.")
            if smaller
            else _("Mean response: {means}: not smaller in the residual net.")
        )
    return words.format(means=_("; ").join(parts), smaller=smaller, count=len(twins))


def of_progress(info: pd.DataFrame) -> str:
    """How far each run is, and its errors there: runs under way are compared at no one epoch."""
    last = info.sort_values("epoch").groupby("run", sort=False).tail(1).head(2 * MOST)
    words = _("{net} after epoch {epoch}: training error (running) {train}, test error {test}")
    parts = [
        words.format(
            net=for_markdown(label), epoch=int(epoch),
            train=_percent(train), test=_percent(test),
        )
        for label, epoch, train, test in last[
            ["label", "epoch", "train_error", "test_error"]
        ].itertuples(index=False)
    ]  # fmt: skip
    return _sentence(parts)


def of_speed(info: pd.DataFrame) -> str:
    """The fastest and the slowest net by multiply-adds a second, and the factor between them."""
    if len(info) < 2:
        return ""
    rows = info.sort_values("rate")
    slow, fast = rows.iloc[0], rows.iloc[-1]
    words = _(
        "{fast} does {high} billion multiply-adds a second, {slow} {low}: FLOPs alone would be off "
        "by a factor of {factor}."
    )
    return words.format(
        fast=title_of(fast["net"]), high=formats.number(fast["rate"], 1),
        slow=title_of(slow["net"]), low=formats.number(slow["rate"], 1),
        factor=formats.number(fast["rate"] / slow["rate"], 1),
    )  # fmt: skip


def of_image(info: pd.DataFrame) -> str:
    """In how many layers of each net a picture is unusual; of nets with a survey alone."""
    known = info[info["q05"].notna()]
    words = _("{net}: outside of 5-95 % of the test images in {count} of {total} layers")
    parts = []
    for label, rows in known.groupby("label", sort=False):
        unusual = (rows["std"] < rows["q05"]) | (rows["std"] > rows["q95"])
        parts.append(
            words.format(net=for_markdown(label), count=int(unusual.sum()), total=len(rows))
        )
    return _sentence(parts)


def of_forming(info: pd.DataFrame) -> str:
    """After which layer a class is the readouts' for good, and what each net says in the end."""
    parts = []
    for label, rows in info.groupby("label", sort=False):
        rows = rows.sort_values("depth")
        end = rows[rows["source"] == "head"]
        read = rows[rows["source"] == "readout"]
        if end.empty:
            continue
        doubtful = read.loc[read["probability"] <= 0.5, "depth"]
        sure = read.loc[read["depth"] > max(doubtful, default=-1), "depth"]
        words = _("{net} gives {name} {share} in the end")
        if len(sure):
            words = _(
                "{net} gives {name} {share} in the end, its readouts over half from layer {at} on"
            )
        parts.append(
            words.format(
                net=for_markdown(label), name=for_markdown(str(end["class"].iloc[-1])),
                share=_percent(100 * end["probability"].iloc[-1], 1),
                at=min(sure, default=0),
            )
        )  # fmt: skip
    return _sentence(parts)


def of_decay(runs: Sequence[Run]) -> str:
    """Mean response and test error of runs of one net against their weight decay."""
    parts = [
        _("{response} with {decay:g} ({error})").format(
            decay=run.config.recipe.weight_decay,  # type: ignore
            response=formats.response(mean_response(run)), error=_percent(test_error(run)),
        )
        for run in runs
    ]  # fmt: skip
    words = _("Mean response of {net} by weight decay (test error): {parts}.")
    return words.format(net=for_markdown(runs[0].net), parts=_(", ").join(parts)) if runs else ""


def of_depth(info: pd.DataFrame) -> str:
    """Training error of the shallowest and the deepest net of each kind."""
    lines = []
    for kind, words in (
        ("plain", _("From {shallow} to {deep} training error goes from {a} to {b} in plain nets")),
        ("residual", _("from {shallow} to {deep} from {a} to {b} in residual nets")),
    ):  # fmt: skip
        own = info[(info["kind"] == kind) & (info["measure"] == "train")]
        own = own[own["shortcut"].isin(["", "A"])].sort_values("depth")
        if own["depth"].nunique() > 1:
            shallow, deep = own.iloc[0], own.iloc[-1]
            lines.append(words.format(
                shallow=shallow["net"], deep=deep["net"],
                a=_percent(shallow["error"]), b=_percent(deep["error"]),
            ))  # fmt: skip
    return _sentence(lines)


def _sentence(parts: Sequence[str]) -> str:
    """Parts of one, a net each; empty where there are none."""
    return _("{sentence}.").format(sentence=_("; ").join(parts)) if parts else ""


def _percent(value: float, places: int = 2) -> str:
    """As everywhere, its sign on the same line."""
    return formats.percent(value, places).replace(" ", "\u00a0")


def _pair(words: str, first: Any, second: Any, a: str, b: str) -> str:
    shallow, deep = (for_markdown(row["label"]) for row in (first, second))
    return words.format(shallow=shallow, deep=deep, a=a, b=b)


def _ladders(rows: pd.DataFrame) -> list[tuple[dict, dict]]:
    """Of each kind the shallowest and the deepest net of one family, width and option."""
    sets: dict[tuple, list[dict]] = {}
    for row in rows.to_dict("records"):
        if row["kind"] != "other":
            net = NetSpec.parse(row["net"])
            sets.setdefault((net.kind, net.family, net.width, net.shortcut), []).append(
                {**row, "depth": net.depth}
            )
    ordered = [sorted(own, key=lambda row: row["depth"]) for own in sets.values()]
    return [(own[0], own[-1]) for own in ordered if own[0]["depth"] < own[-1]["depth"]]


def _twins(rows: pd.DataFrame) -> list[tuple[dict, dict]]:
    """Plain nets and residual ones with the same layers; none where one has several twins."""
    known = rows[rows["kind"] != "other"].to_dict("records")
    plain = {NetSpec.parse(r["net"]): r for r in known if r["kind"] == "plain"}
    found: dict[NetSpec, tuple[dict, dict]] = {}
    for row in known:
        net = NetSpec.parse(row["net"])
        if net.traits.has_shortcuts and net.counterpart() in plain:
            if net.counterpart() in found:  # which of them would be meant?
                return []
            found[net.counterpart()] = plain[net.counterpart()], row
    return sorted(found.values(), key=lambda pair: NetSpec.parse(pair[0]["net"]).depth)
