"""The paper's claims beside what the chosen runs say of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from analysis.errors import LensError
from analysis.evidence import claims
from analysis.evidence.claims import Claim
from analysis.evidence.verdicts import State, Verdict
from analysis.figures import verdicts
from analysis.runs import Run
from analysis.text import _
from pages.common import cached, classroom, messages, pickers, show
from pages.evidence.panels import queueing

_COLUMNS = 4
"""Cards beside each other."""
_COLOURS: Mapping[State, str] = {
    "holds": "green", "fails": "red", "undecided": "orange", "missing": "gray",
}  # fmt: skip
_ICONS = {"holds": "check", "fails": "close", "undecided": "balance", "missing": "pending"}
_PAGES = {
    name: Path(__file__).parents[1] / f"{name}.py"
    for name in ("compare", "complexity", "refinements")
}


def show_claims(group: Sequence[Run], everything: Sequence[Run]) -> None:
    """A card a claim: verdict, one sentence, a picture; opened, its rule and numbers.

    Args:
        group: runs of one data set and recipe.
        everything: all runs, by which the address of Compare names them.
    """
    try:
        judged, shown = cached.made(claims.evaluate, group), cached.made(_shown, group)
    except LensError as error:
        st.error(messages.literal(str(error)))
        return
    names = pickers.run_names(everything)
    for start in range(0, len(judged), _COLUMNS):
        cards = judged[start : start + _COLUMNS]
        for place, (claim, verdict) in zip(st.columns(_COLUMNS), cards, strict=False):
            key = f"claim_{claim.id}"
            with place, st.container(border=True, height="stretch", gap="small", key=key):
                show_card(claim, verdict, [names[run] for run in shown[claim.id] if run in names])
    with st.expander(_("How the verdicts are made, and all of them"), icon=":material/table:"):
        st.caption(verdicts.reading(group))
        show.table(_table(judged), "argument_claims", _("One row per claim, for saving."))
    wanted = [net.name for _claim, verdict in judged for net in verdict.wanted]
    if wanted:
        title = _("Train what is missing for the claims")
        queueing.offer(list(dict.fromkeys(wanted)), group, "argument_missing", title)


def _shown(group: Sequence[Run]) -> dict[str, list[str]]:
    """The ids of the runs that the view behind each claim begins with."""
    return {
        claim.id: [run.id for run in claims.shown_runs(claim, verdict, group)]
        for claim, verdict in cached.made(claims.evaluate, group)
    }


def show_card(claim: Claim, verdict: Verdict, names: list[str]) -> None:
    """One claim: verdict, sentence, picture; opened: rule, numbers, a link to the runs `names`."""
    short, whole = claims.state_words()[verdict.state], claims.verdict_words(verdict)
    st.badge(
        _("disputed") if verdict.disputed else short, icon=f":material/{_ICONS[verdict.state]}:",
        color="orange" if verdict.disputed else _COLOURS[verdict.state],  # ty: ignore[invalid-argument-type]
    )  # fmt: skip
    st.markdown(f"**{claim.words()}**")
    if whole != short:
        st.caption(_("{sentence}.").format(sentence=f"{whole[0].upper()}{whole[1:]}"))
    if verdict.numbers:
        drawn = verdicts.plot_numbers(verdicts.numbers_info(verdict), claim.quantity())
        show.chart(drawn, f"argument_card_{claim.id}", config={"displayModeBar": False},
                   alt=f"{claim.words()} {'; '.join(verdict.evidence)}")  # fmt: skip
    else:
        st.markdown(verdict.evidence[0] if verdict.evidence else _wanted(verdict))
    with st.expander(_("Rule and numbers")):
        if verdict.numbers:
            show.words_table(verdicts.numbers_words(verdict))
        st.markdown("\n".join(f"- {line}" for line in verdicts.beyond_the_table(verdict)))
        for line in verdicts.rule_words(claim, verdict):
            st.caption(line)
        _link(claim.page, names)


def _wanted(verdict: Verdict) -> str:
    nets = ", ".join(net.name for net in verdict.wanted)
    if classroom.is_on():
        return _("Needs a finished run of {nets}.").format(nets=nets)
    words = _("Needs a finished run of {nets}. The commands are below the claims.")
    return words.format(nets=nets)


def _link(page: str, names: list[str]) -> None:
    """To the view behind a claim, with its runs already chosen."""
    if not classroom.has(page):
        return
    if page == "complexity":
        st.page_link(_PAGES[page], label=_("Complexity"), icon=":material/speed:")
    elif names:
        asked = {f"{page}_runs": names}
        if "lang" in st.query_params:
            asked["lang"] = [st.query_params["lang"]]
        st.page_link(
            _PAGES[page], label=_("Compare these runs"), icon=":material/compare_arrows:",
            query_params=asked,
        )  # fmt: skip


def _table(judged: Sequence[tuple[Claim, Verdict]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            _("Claim"): [claim.words() for claim, _v in judged],
            _("Section"): [claim.section for claim, _v in judged],
            _("Verdict"): [claims.verdict_words(verdict) for _c, verdict in judged],
            _("Evidence"): ["; ".join(verdict.evidence) for _c, verdict in judged],
            _("In the paper"): [claim.paper() for claim, _v in judged],
            _("Rule"): [claim.rule() for claim, _v in judged],
        }
    )
