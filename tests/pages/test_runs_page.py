"""The page Runs by AppTest: searched, ticked, tagged, deleted."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analysis.runs import list_runs
from analysis.runs.labels import labels_of
from tests.tiny import write_run


@pytest.fixture
def opened(page: AppTest, folder: Path) -> AppTest:
    for net in ("plain-8", "resnet-8", "resnet-14"):
        write_run(folder, net)
    at = page.run().switch_page("pages/evidence/runs.py").run()
    assert not at.exception
    return at


def shown(at: AppTest) -> list[str]:
    assert not at.exception, at.exception[0].message
    return at.dataframe[0].value["Net"].tolist()


def tick(at: AppTest, *rows: int) -> AppTest:
    key = at.dataframe[0].proto.id
    name = key[key.index("runs_table_") :]
    at.session_state[name] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    return at.run()


def test_all_runs_are_listed_and_searched(opened: AppTest):
    """By words, by a rule; a rule that makes no sense says so and filters nothing."""
    assert shown(opened) == ["plain-8", "resnet-14", "resnet-8"]
    opened.text_input(key="runs_search").set_value("resnet").run()
    assert shown(opened) == ["resnet-14", "resnet-8"]
    opened.text_input(key="runs_rule").set_value("depth > 8").run()
    assert shown(opened) == ["resnet-14"]
    opened.text_input(key="runs_rule").set_value("deep > 8").run()
    assert "is no rule" in opened.error[0].value
    opened.text_input(key="runs_rule").set_value("")
    opened.text_input(key="runs_search").set_value("nothing like this").run()
    assert opened.info[0].value == "No run is like this."


def test_ticked_runs_are_compared_tagged_and_deleted(opened: AppTest, folder: Path):
    """The links carry them; tags go to all of them; deleting is asked for once."""
    at = tick(opened, 0, 2)
    links = {link.proto.label: link.proto.query_string for link in at.get("page_link")}
    assert links["Compare"] == (
        "compare_runs=plain-8+quick-e3+s0+tiny&compare_runs=resnet-8+quick-e3+s0+tiny"
    )
    at.text_input[-1].set_value("good fig6")
    next(b for b in at.button if b.label == "Save").click().run()
    tagged = [run for run in list_runs([folder]) if labels_of(run).tags]
    assert [run.net for run in tagged] == ["plain-8", "resnet-8"]
    at = tick(at, 1)
    at.button(key="runs_delete").click().run()
    assert not list(folder.glob("*resnet-14*"))
    assert shown(at) == ["plain-8", "resnet-8"]


def test_one_run_gets_a_name_and_a_note(opened: AppTest, folder: Path):
    """And is found by them."""
    at = tick(opened, 0)
    next(t for t in at.text_input if t.label == "Name").set_value("baseline")
    next(t for t in at.text_input if t.label == "Note").set_value("for the lecture")
    next(b for b in at.button if b.label == "Save").click().run()
    at.text_input(key="runs_search").set_value("lecture").run()
    assert at.dataframe[0].value["Name"].tolist() == ["baseline"]
