"""The paper's claims beside what the chosen runs say of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from analysis import claims
from analysis.claims import Claim
from analysis.errors import LensError
from analysis.runs import Run
from analysis.text import _
from analysis.verdicts import State, Verdict
from pages.common import messages, pickers, show
from pages.evidence.panels import queueing

_WIDTHS = [3, 4, 4]
_COLOURS: Mapping[State, str] = {
    "holds": "green", "fails": "red", "undecided": "orange", "missing": "gray",
}  # fmt: skip
_ICONS = {"holds": "check", "fails": "close", "undecided": "balance", "missing": "pending"}
_PAGES = {name: Path(__file__).parents[1] / f"{name}.py" for name in ("compare", "complexity")}


def show_claims(group: Sequence[Run], everything: Sequence[Run]) -> None:
    """A row a claim: verdict, words, evidence, rule, link; then what would complete it.

    Args:
        group: runs of one data set and recipe.
        everything: all runs, by which the address of Compare names them.
    """
    try:
        judged = claims.evaluate(group)
    except LensError as error:
        st.error(messages.literal(str(error)))
        return
    st.caption(_reading(group))
    names = pickers.run_names(everything)
    for claim, verdict in judged:
        _row(claim, verdict, [names[run] for run in verdict.runs if run in names])
    with st.expander(_("The claims as a table"), icon=":material/table:"):
        show.table(_table(judged), "argument_claims", _("One row a claim, for saving."))
    wanted = [net.name for _claim, verdict in judged for net in verdict.wanted]
    if wanted:
        title = _("Train what is missing for the claims")
        queueing.offer(list(dict.fromkeys(wanted)), group, "argument_missing", title)


def _reading(group: Sequence[Run]) -> str:
    reading = _(
        "Verdicts compare these runs with each other by the stated rule. The spread between seeds "
        "is the largest minus the least value of one net; of the nets compared the largest counts, "
        "and 0 where each has one seed. Undecided: neither the rule nor its reverse is met."
    )
    if group and not all(claims.comparable_with_paper(run) for run in group):
        reading += " " + _(
            "These are not whole CIFAR-10 under the paper's recipe: their errors are not "
            "to be held against Table 6."
        )
    return reading


def _row(claim: Claim, verdict: Verdict, names: list[str]) -> None:
    with st.container(border=True):
        words, evidence, rule = st.columns(_WIDTHS, gap="medium")
    with words:
        st.badge(
            _badge(verdict), icon=f":material/{_ICONS[verdict.state]}:",
            color=_COLOURS[verdict.state],  # ty: ignore[invalid-argument-type]
        )  # fmt: skip
        section = _("section {section}").format(section=claim.section)
        st.markdown(f"**{claim.words()}** ({section})")
    with evidence:
        st.markdown("\n".join(f"- {line}" for line in verdict.evidence) or _wanted(verdict))
        _link(claim.page, names)
    rule.caption(_("In the paper: {words}").format(words=claim.paper()))
    rule.caption(_("Rule: {words}").format(words=claim.rule()))
    if verdict.beside:
        rule.caption(verdict.beside_words())


def _wanted(verdict: Verdict) -> str:
    nets = ", ".join(net.name for net in verdict.wanted)
    words = _("Wanted: a finished run of {nets}. The commands are below the claims.")
    return words.format(nets=nets)


def _link(page: str, names: list[str]) -> None:
    """To the view behind a claim, with its runs already chosen."""
    if page == "complexity":
        st.page_link(_PAGES[page], label=_("Complexity"), icon=":material/speed:")
    elif names:
        asked = {"compare_runs": names}
        if "lang" in st.query_params:
            asked["lang"] = [st.query_params["lang"]]
        st.page_link(
            _PAGES[page], label=_("Compare these runs"), icon=":material/compare_arrows:",
            query_params=asked,
        )  # fmt: skip


def _badge(verdict: Verdict) -> str:
    """The state; where chance is not ruled out, the badge itself says so."""
    words = _states()[verdict.state]
    lone = verdict.one_seed and verdict.state in ("holds", "fails")
    return _("{state}, chance not ruled out").format(state=words) if lone else words


def _states() -> dict[State, str]:
    return {
        "holds": _("holds"),
        "fails": _("fails"),
        "undecided": _("undecided"),
        "missing": _("not enough runs"),
    }


def _table(judged: Sequence[tuple[Claim, Verdict]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            _("Claim"): [claim.words() for claim, _v in judged],
            _("Section"): [claim.section for claim, _v in judged],
            _("Verdict"): [_badge(verdict) for _c, verdict in judged],
            _("Evidence"): ["; ".join(verdict.evidence) for _c, verdict in judged],
            _("In the paper"): [claim.paper() for claim, _v in judged],
            _("Rule"): [claim.rule() for claim, _v in judged],
        }
    )
