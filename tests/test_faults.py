"""Every command in a bad place: `pytest tests/test_faults.py`.

Whatever is wrong around it (a run beside it that can't be read, a folder that is missing, read-only
or full, a terminal that knows ASCII alone, a name that is not UTF-8), a command ends with what was
asked or with one sentence: no traceback, no error that nobody foresaw, nothing half-made.
"""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer

from analysis import faults
from analysis.cli import build
from analysis.jobs.worker import WORKER_LOG
from analysis.runs import Run, index, list_runs
from tests import forked
from tests.queues import end_all
from tests.tiny import write_run

pytestmark = pytest.mark.trains

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {
    "list": ("list", "--runs", "{runs}"),
    "list json": ("list", "--json", "--runs", "{runs}"),
    "show": ("show", "one", "--runs", "{runs}"),
    "claims": ("claims", "--runs", "{runs}"),
    "claims json": ("claims", "--json", "--runs", "{runs}"),
    "compare": ("compare", "one", "two", "--runs", "{runs}", "-o", "{out}/report.html"),
    "bundle": ("bundle", "one", "--runs", "{runs}", "--to", "{out}/bundled"),
    "jobs": ("jobs", "--runs", "{runs}"),
    "jobs json": ("jobs", "--json", "--runs", "{runs}"),
    "jobs start": ("jobs", "start", "--runs", "{out}/runs"),
    "jobs work": ("jobs", "work", "--runs", "{out}/runs"),
    "cancel": ("cancel", "one", "--runs", "{runs}"),
    "tag": ("tag", "one", "good", "--remove", "bad", "--runs", "{runs}"),
    "note": ("note", "one", "Läuft →", "--name", "n", "--caveat", "c", "--runs", "{runs}"),
    "resume background": ("resume", "one", "--background", "--runs", "{runs}"),
    "resume": ("resume", "stopped", "--runs", "{runs}"),
    "train": ("train", "--net", "plain-8-w4", "--data", "digits", "--recipe", "quick", "--epochs",
              "1", "--batch-size", "1024", "--name", "new", "--runs", "{out}/runs"),
    "queue": ("train", "--net", "plain-8-w4", "--data", "folder:{out}/images", "--queue", "--runs",
              "{out}/runs"),
    "export": ("export", "net", "--runs", "{runs}", "-o", "{out}/net.pth"),
    "export safetensors": ("export", "net", "--runs", "{runs}", "-o", "{out}/net.safetensors"),
    "import": ("import", "{net}", "--runs", "{out}/runs"),
    "record": ("record", "net", "--images", "20", "--runs", "{runs}", "--csv", "{out}/r.csv"),
    "record save": ("record", "net", "--images", "20", "--runs", "{runs}", "--save", "--replace"),
    "probe": ("probe", "net", "--runs", "{runs}"),
    "lesions": ("lesions", "net", "--again", "--runs", "{runs}"),
    "one lesion": ("lesions", "net", "--blocks", "stage1.block1", "--runs", "{runs}"),
    "similarity": ("similarity", "net", "net", "--runs", "{runs}"),
    "images": ("images", "one", "{out}/images", "--runs", "{runs}"),
    "import-log": ("import-log", "{log}", "--name", "Läuft →", "--runs", "{out}/runs"),
    "publish": ("publish", "{out}/site", "one", "two", "--runs", "{runs}"),
    "study": ("study", "S", "--nets", "plain-8-w4", "--data", "digits", "--runs", "{out}/runs"),
    "study drain": ("study", "S", "--nets", "plain-8-w4", "--data", "digits", "--recipe", "quick",
                    "--epochs", "1", "--drain", "--runs", "{out}/runs"),
    "study queue": ("study", "S", "--nets", "plain-8-w4", "--data", "folder:{out}/images",
                    "--queue", "--runs", "{out}/runs"),
    "study slurm": ("study", "S", "--nets", "plain-8-w4", "--data", "digits", "--slurm", "--runs",
                    "{out}/runs"),
    "construct": ("construct", "{runs}/net", "14", "--runs", "{out}/runs"),
    "construct background": ("construct", "{runs}/net", "14", "--background", "--runs",
                             "{out}/runs"),
    "identity": ("identity", "--layers", "2", "--steps", "2", "--csv", "{out}/losses.csv"),
    "complexity": ("complexity", "plain-8", "--measure", "--batch", "1", "--seconds", "0", "--csv",
                   "{out}/times.csv"),
    "survey": ("survey", "one", "--data", "folder:{out}/images", "--runs", "{runs}"),
    "construct queue": ("construct", "net", "14", "--queue", "--runs", "{runs}"),
    "reproduce queue": ("reproduce", "fig6", "--queue", "--data", "folder:{out}/images", "--runs",
                        "{runs}", "-o", "{out}/fig.html"),
    "reproduce": ("reproduce", "fig6", "--dry-run", "--data", "digits", "--runs", "{runs}", "-o",
                  "{out}/fig.html"),
}  # fmt: skip
"""Every command, `{out}` where it writes."""
LIGHT = ("list", "list json", "show", "claims", "claims json", "compare", "bundle", "jobs", "tag",
         "note", "import-log", "publish", "study")  # fmt: skip
"""Those without torch, of which every trouble is tried."""
WRITING = [name for name, line in COMMANDS.items() if any("{out}" in word for word in line)]
"""Those that are told where to write: the place is of no concern to the others."""
_LIMIT = "import resource, signal; resource.setrlimit(resource.RLIMIT_FSIZE, ({n}, {n}));"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs by formulas, a real net's, and what an import takes."""
    from analysis.specs import Compute, DataSpec, NetSpec, Recipe, recipe_for
    from analysis.training import prepare_run, train_run

    folder = tmp_path_factory.mktemp("template")
    write_run(folder / "runs", "plain-8", run_id="stopped", epochs=0, state="cancelled",
              recipe=Recipe.parse("quick", epochs=1, batch_size=1024))  # fmt: skip
    for run_id, net in (("one", "plain-8"), ("two", "resnet-8")):
        write_run(folder / "runs", net, run_id=run_id)
    data, net = DataSpec("digits"), NetSpec.parse("resnet-8-w4")
    recipe = recipe_for("quick", net, data, epochs=1, batch_size=1024, train_images=100,
                        test_images=50)  # fmt: skip
    train_run(prepare_run(folder / "runs", net, recipe, data, run_id="net",
                          compute=Compute("cpu", threads=1)))  # fmt: skip
    forked.analysis("claims", cwd=folder)  # which fills the index of the runs that came along
    (folder / "log.csv").write_text("epoch,train_loss,val_acc\n1,1.5,41.0\n2,1.2,50.0\n")
    return folder


@pytest.fixture
def place(template: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it, with a folder to write in. What works off a queue in it ends with the test."""
    shutil.copytree(template, tmp_path / "place")
    (tmp_path / "place" / "out").mkdir()
    yield tmp_path / "place"
    if any((tmp_path / "place").rglob(WORKER_LOG)):
        end_all(tmp_path)


def run(
    name: str, place: Path, out: Path | None = None, before: str = "", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """A command as its own process; `before` is Python that runs in it first."""
    out = out or place / "out"
    words = [
        word.format(runs=place / "runs", out=out, net=place / "runs/net/model.safetensors",
                    log=place / "log.csv")
        for word in COMMANDS[name]
    ]  # fmt: skip
    cache = str(place / "cache")
    return forked.raw(words, place, before, 170, RESIDUAL_LENS_CACHE=cache, **environment)


def check(done: subprocess.CompletedProcess[bytes], place: Path) -> str:
    """One sentence or what was asked; gives standard error."""
    said = done.stderr.decode("utf-8", "replace")
    assert "Traceback" not in said, said
    assert done.returncode not in (faults.Unforeseen.exit_code, 120), said
    assert not (place / "cache" / faults.LOG).exists(), (place / "cache" / faults.LOG).read_text()
    assert done.returncode == 0 or "Error: " in said or "Usage: " in said, (done.returncode, said)
    return said


def left(folder: Path) -> list[str]:
    """What is half-made in a folder: temporary files, and run folders that are no runs."""
    if not folder.is_dir():
        return []
    temporary = [str(p) for p in folder.rglob("*.tmp")]
    broken = [r.id for r in list_runs([folder / "runs"]) if not isinstance(r, Run)]
    empty = [p.name for p in (folder / "runs").glob("*") if p.is_dir() and not any(p.iterdir())]
    return temporary + broken + empty


WRITE = {"--save", "--queue", "--drain", "--background", "--slurm", "--json"}
"""Flags by which a command writes elsewhere, or otherwise."""


def leaves(group: Any, way: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of the command line by its words, hidden ones too."""
    for word, command in group.commands.items():
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield (*way, word), command
        if hasattr(command, "commands"):
            yield from leaves(command, (*way, word))


def test_no_command_is_missing_here():
    """Nor an argument or an option of one that is a path, nor a flag by which it writes."""
    every = dict(leaves(typer.main.get_command(build())))
    assert len(every) > 25
    for words, command in every.items():
        own = [line for line in COMMANDS.values() if line[: len(words)] == words]
        assert own, f"{' '.join(words)} is not in COMMANDS"
        types = get_type_hints(inspect.unwrap(command.callback))
        for option in command.params:
            takes = types.get(option.name)
            is_path = Path in (takes, *get_args(takes))
            if not option.opts[0].startswith("-"):
                assert all(len(line) > len(words) for line in own), words
            elif is_path or WRITE & set(option.opts):
                assert any(set(option.opts) & set(line) for line in own), (words, option.opts)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gbk"])
def test_a_terminal_of_another_encoding(name: str, encoding: str, place: Path):
    """What it can't show is replaced."""
    if encoding != "ascii" and name not in LIGHT:
        pytest.skip("one encoding is enough where torch has to be loaded")
    write_run(place / "runs", "plain-8", run_id="Müller中")
    done = run(name, place, PYTHONIOENCODING=encoding)
    check(done, place)
    if name in ("list", "list json", "show", "claims", "compare", "jobs", "train", "import"):
        assert done.returncode == 0, done.stderr
    assert "\ufffd" not in done.stdout.decode(encoding)


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unreadable_run_beside(name: str, place: Path):
    """Torn, a file in place of a folder's, and one whose name is not UTF-8."""
    torn = place / "runs" / "torn"
    shutil.copytree(place / "runs" / "one", torn)
    (torn / "config.json").unlink()
    (torn / "config.json").mkdir()
    if os.name == "posix":
        shutil.copytree(torn, place / "runs" / os.fsdecode(b"M\xfcller"))
    done = run(name, place)
    check(done, place)
    if name in ("list", "show", "claims", "compare", "bundle", "jobs", "export", "record"):
        assert done.returncode == 0, done.stderr


def troubled(place: Path) -> dict[str, Callable[[], Path]]:
    """Folders that can't be written in."""

    def a_file() -> Path:
        (place / "file").write_text("")
        return place / "file"

    return {
        "missing": lambda: place / "no" / "such",
        "a file in its place": a_file,
        "too long": lambda: place / ("x" * 300),
    }


@pytest.mark.parametrize("name", WRITING)
@pytest.mark.parametrize("trouble", ["missing", "a file in its place", "too long"])
def test_a_folder_that_can_not_be_written_in(name: str, trouble: str, place: Path):
    """Named, with what to do, and nothing is left of what was begun."""
    if trouble == "too long" and name not in ("train", "import", "export", "compare"):
        pytest.skip("one of a kind is enough")
    before = sorted(place.rglob("*"))
    done = run(name, place, troubled(place)[trouble]())
    said = check(done, place)
    assert not left(place)
    if name in ("compare", "export", "export safetensors", "identity"):
        assert done.returncode, said
        assert "no" in said or "file" in said or "long" in said
        assert [p for p in sorted(place.rglob("*")) if p not in before
                and "cache" not in p.parts and p.name not in ("file",)] == []  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("most", [0, 5_000])
def test_a_disk_that_is_full(name: str, most: int, place: Path):
    """A limit on the size of files, so for any account: it holds for root too."""
    if most and name in LIGHT:
        pytest.skip("they write one file or none")
    (place / "runs" / index.FILE).unlink()
    done = run(name, place, before=_LIMIT.format(n=most))
    said = check(done, place)
    assert not left(place / "out")
    if name in ("compare", "export", "export safetensors", "import") or (
        name in ("train", "identity") and not most
    ):
        assert done.returncode, said
        assert "disk is full" in said, said
        assert "resume" not in said or name == "train"


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A disk that is mounted read-only, for root as well."""
    where = tmp_path / "mounted"
    where.mkdir()
    mounted = os.name == "posix" and shutil.which("mount") and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(where)], capture_output=True,
        check=False,
    ).returncode  # fmt: skip
    if not mounted:
        pytest.skip("no disk can be mounted here")
    yield where
    subprocess.run(["umount", str(where)], check=True)


@pytest.fixture
def read_only_runs(place: Path) -> Iterator[Path]:
    """The runs themselves on such a disk."""
    (place / "runs" / index.FILE).unlink()
    runs = str(place / "runs")
    mounted = os.name == "posix" and shutil.which("mount") and not subprocess.run(
        ["mount", "--bind", "-o", "ro", runs, runs], capture_output=True, check=False
    ).returncode  # fmt: skip
    if not mounted:
        pytest.skip("no disk can be mounted here")
    yield place / "runs"
    subprocess.run(["umount", runs], check=True)


@pytest.mark.parametrize("name", WRITING)
def test_a_disk_that_is_read_only(name: str, place: Path, read_only: Path):
    """Locks and all."""
    done = run(name, place, read_only)
    said = check(done, place)
    if name in ("train", "import", "export", "compare", "queue", "construct", "bundle"):
        assert done.returncode, said


@pytest.mark.parametrize("name", [n for n, line in COMMANDS.items() if "{runs}" in line])
def test_runs_on_a_disk_that_is_read_only(name: str, place: Path, read_only_runs: Path):
    """Reading goes on, what is computed goes to the cache, what is to be kept is refused."""
    done = run(name, place)
    said = check(done, place)
    if name in ("tag", "note", "record save", "probe"):
        assert done.returncode, done.stdout
        assert "read-only" in said.lower(), said
    elif name in ("list", "show", "claims", "compare", "jobs", "export", "record", "lesions",
                  "one lesion", "similarity"):  # fmt: skip
        assert done.returncode == 0, said


@pytest.mark.skipif(os.name != "posix", reason="names of POSIX")
@pytest.mark.parametrize("name", WRITING)
def test_a_name_that_is_not_utf8(name: str, place: Path):
    """Of the folder that is written in: either it goes, or one sentence."""
    odd = place / os.fsdecode(b"M\xfcller")
    odd.mkdir()
    done = run(name, place, odd)
    check(done, place)
    assert not left(odd)
    if name == "queue":
        assert "not text in UTF-8" in done.stderr.decode("utf-8", "replace")
        assert not (odd / "runs").exists()
    if name in ("compare", "export", "train", "import", "identity"):
        assert done.returncode == 0, done.stderr


def test_an_error_that_nobody_foresaw(place: Path):
    """One sentence and where the rest is; all of it with --traceback."""
    broken = "import analysis.runs.listing as r; r.recording_paths = lambda *_: 1 / 0"
    done = run("list", place, before=broken)
    said = done.stderr.decode()
    assert done.returncode == 70
    assert said.startswith("Error: something went wrong that should not have (ZeroDivisionError")
    assert said.count("\n") == 1
    log = place / "cache" / faults.LOG
    assert str(log) in said
    assert "ZeroDivisionError: division by zero" in log.read_text(encoding="utf-8")

    done = run("list", place, before=broken + "; import sys; sys.argv.insert(1, '--traceback')")
    assert "Traceback" in done.stderr.decode()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_standard_output_that_is_full(place: Path):
    """`list > file` on a full disk."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "analysis", "list"], cwd=place, stdout=full, check=False,
            stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.decode() == "Error: standard output can't be written: the disk is full\n"
