"""Every command that a page prints is run here as it stands, its placeholders filled in.

pytest tests/pages/test_printed_commands.py
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analysis import cli
from analysis.data.placing import place_images_of
from analysis.runs import list_runs, load_run
from tests import queues

pytestmark = [
    pytest.mark.trains,
    pytest.mark.filterwarnings("default::ResourceWarning"),
    pytest.mark.filterwarnings("default::DeprecationWarning"),
]
ROOT = Path(__file__).resolve().parents[2]
PRINTED = re.compile(r"python -m analysis ([a-z][a-z-]*)")
ON_PAGES = [
    ("lens/image.py", "away", {"survey"}),
    ("evidence/refinements.py", "away", {"lesions", "similarity"}),
    ("evidence/refinements.py", "here", {"probe"}),
    ("evidence/argument.py", "away", {"train"}),
    ("evidence/argument.py", "here", {"construct", "train"}),
    ("training/train.py", "here", {"train"}),
    ("training/import_net.py", "here", {"import"}),
]
"""Of a page, where the runs' images are, and what it prints then."""


def opened(page: str) -> AppTest:
    """A page of the app in a session of its own."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    at.session_state["image_panel"] = "exemplars"
    at = at.switch_page(f"pages/{page}").run()
    assert not at.exception
    return at


def printed(at: AppTest) -> list[str]:
    """The commands in boxes, those within sentences, and those in empty figures."""
    lines = [line for box in at.code for line in box.value.splitlines()]
    sentences = [text.value for kind in (at.markdown, at.caption, at.info) for text in kind]
    sentences += [str(chart.proto.spec) for chart in at.get("plotly_chart")]
    for text in sentences:
        lines += re.findall(r"`(python -m analysis [^`]*)`", text)
        lines += re.findall(r'<br>(python -m analysis [^"<]*)', text)
    return [line for line in dict.fromkeys(lines) if line.startswith("python -m analysis ")]


def texts_of_pages() -> Iterator[str]:
    """What the pages' own files and the figures say, and the verbs that they make commands of."""
    for folder in ("pages", "analysis/figures"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "command":
                    verb = node.args[0]
                    yield (
                        f"python -m analysis {verb.value}" if isinstance(verb, ast.Constant) else ""
                    )


def run(line: str) -> None:
    """A printed line, in this process; a training for an epoch."""
    words = shlex.split(line)[3:]
    if words[0] == "train" and "--epochs" not in words:
        words += ["--epochs", "1"]
    cli.build(words[0])(words, standalone_mode=False)


def test_what_is_printed_somewhere_is_looked_at_here():
    """Of no command that the pages' texts name it was forgotten to run it."""
    found = {verb for text in texts_of_pages() for verb in PRINTED.findall(text)}
    assert found
    assert found <= set().union(*(verbs for _page, _where, verbs in ON_PAGES))


@pytest.mark.parametrize(("page", "where", "verbs"), ON_PAGES)
def test_printed_commands_do_what_they_say(
    mine: Path,
    page: str,
    where: str,
    verbs: set[str],
):
    """One of each kind on each page: each ends well, and a training makes a run."""
    folder = mine.parent / "runs"
    residual = next(folder.glob("*resnet*"))
    if where == "here":
        for file in residual.glob("probe*.csv"):
            file.unlink()
        place_images_of(load_run(residual), str(mine))
    before = list_runs([folder])
    lines: dict[str, str] = {}
    for line in printed(opened(page)):
        lines.setdefault(line.split()[3], line)
    assert verbs <= set(lines)
    with queues.nobody_works(folder):  # what goes to the background waits there
        for line in lines.values():
            for placeholder, value in (
                ("folder:PATH", f"folder:{mine}"), ("FILE", str(residual / "model.safetensors")),
                ("RUN", residual.name),
            ):  # fmt: skip
                line = re.sub(rf"\b{placeholder}\b", value, line)
            run(line)
    if "train" in lines or "construct" in lines:
        assert len(list_runs([folder])) > len(before)


def test_the_command_of_a_machine_without_runs(folder: Path, page: AppTest):
    """The front page's first advice trains a run that the page then shows."""
    at = page.run()
    (line,) = printed(at)
    run(line)
    assert [found.id for found in list_runs([folder])]
    assert not page.run().info
