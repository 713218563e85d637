"""What must hold on Windows and macOS too, shown here: `pytest tests/test_portability.py`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from analysis.errors import RunError
from analysis.jobs import processes
from analysis.runs import files, load_run, open_writer
from analysis.runs.liveness import hold
from analysis.runs.writer import create_run, is_portable
from tests.tiny import write_run

ROOT = Path(__file__).parents[1]
POSIXLESS = ROOT / "tests" / "posixless"


def _without_posix(*words: str) -> str:
    paths = os.pathsep.join(map(str, (POSIXLESS, ROOT)))
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_process_lacks_what_windows_lacks():
    """Or the tests below would show nothing."""
    code = (
        "import analysis.jobs.worker as worker, analysis.runs.liveness as liveness\n"
        "import analysis.runs.files as files\n"
        "print(liveness.fcntl, [n for n in ('fork', 'killpg', 'umask', 'geteuid', 'setsid')"
        " if hasattr(files.os, n)], hasattr(worker.signal, 'SIGKILL'))"
    )
    assert _without_posix("-c", code) == "None [] False\n"


def test_every_module_is_imported_without_posix():
    """All rooms, those with torch too."""
    code = (
        "import importlib, pkgutil, analysis\n"
        "names = [m.name for m in pkgutil.walk_packages(analysis.__path__, 'analysis.')]\n"
        "names = [n for n in names if not n.endswith('__main__')]\n"
        "assert len(names) > 100\n"
        "for name in names: importlib.import_module(name)\n"
    )
    _without_posix("-c", code)


@pytest.mark.trains
def test_runs_the_queue_and_a_training_by_the_worker_without_posix():
    """The runs' and the queue's own tests, and real trainers that are started, cancelled, resumed.

    The whole fast suite runs so in the public CI.
    """
    own = (
        "tests/jobs/test_faults.py::test_a_running_training_is_cancelled_within_seconds_and_resumes"
    )
    _without_posix("-m", "pytest", "-q", "tests/test_runs.py", "tests/jobs/test_queue.py", own)


def _held_open(times: int):
    """As Windows' `os.replace` while another program has the target open: refused, then not."""
    left = [times]
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        if left[0]:
            left[0] -= 1
            error = PermissionError(13, "The process cannot access the file")
            error.winerror = 32
            raise error
        real(source, target)

    return replace


def test_a_file_that_is_read_meanwhile_is_replaced_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Windows: refused three times, then the reader has gone."""
    files.write_json(tmp_path / "x.json", {"old": 1})
    monkeypatch.setattr(files.os, "replace", _held_open(3))
    files.write_json(tmp_path / "x.json", {"new": 1})

    assert files.read_json(tmp_path / "x.json") == {"new": 1}


def test_a_file_that_stays_open_is_said_so_in_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The old file is whole, and nothing else is left."""
    files.write_json(tmp_path / "x.json", {"old": 1})
    monkeypatch.setattr(files.os, "replace", _held_open(10**9))
    monkeypatch.setattr(files, "_PATIENCE", 0.1)
    began = time.monotonic()
    with pytest.raises(RunError, match=r"x\.json is open in another program"):
        files.write_json(tmp_path / "x.json", {"new": 1})

    assert time.monotonic() - began < 2
    assert files.read_json(tmp_path / "x.json") == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize(
    "name",
    ["CON", "con", "aux.txt", "COM1", "lpt9.x", "a:b", " ", "a b", "a ", "*", "a?", "a|b", "<a>",
     'a"b', "a\\b", "a/b", ".a", "a.", "..", "a\tb", "a\nb", "a\udce9"],
)  # fmt: skip
def test_names_that_some_system_refuses_are_refused_on_all(name: str, tmp_path: Path):
    """With what a name may be; nothing is made."""
    config = load_run(write_run(tmp_path / "other")).config
    with pytest.raises(RunError, match="is not a name for a run"):
        create_run(tmp_path / "runs", config, name)

    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "name", ["mine", "Müller-2", "resnet-20_s0", "a.b", "console", "网络", "+1"]
)
def test_names_that_all_systems_take(name: str):
    """Letters of any script."""
    assert is_portable(name)


def test_the_names_that_are_made_are_portable(tmp_path: Path):
    """A recipe's label can hold anything."""
    config = load_run(write_run(tmp_path / "other")).config
    assert is_portable(create_run(tmp_path, config).name)


@pytest.mark.skipif(not hasattr(os, "pathconf"), reason="Windows does not tell its limit")
def test_a_path_that_is_too_long_is_said_before_anything_is_made(tmp_path: Path):
    """By its name, and by the longest file in it, which is written much later."""
    config = load_run(write_run(tmp_path / "other")).config
    folder = tmp_path / "runs"
    with pytest.raises(RunError, match="longer than the system allows"):
        create_run(folder, config, "x" * 300)
    wanted = os.pathconf("/", "PC_PATH_MAX") - 20 - len("/mine")
    while (left := wanted - len(str(folder))) > 1:
        folder /= "x" * min(100, left - 1)
    folder.mkdir(parents=True)
    with pytest.raises(RunError, match="longer than the system allows"):
        create_run(folder, config, "mine")

    assert list(folder.iterdir()) == []


def test_a_trainer_is_told_by_its_start_where_open_files_can_t_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Windows: the pid of a process that began at another time is a stranger's."""
    monkeypatch.setattr(processes, "WINDOWS", True)
    path = write_run(tmp_path, state="running", run_id="r")
    me = psutil.Process()
    with open_writer(path) as writer:
        writer.set_status(pid=me.pid, pid_started=me.create_time() - 3600)
        assert processes.trainer_of(path) is None
        writer.set_status(pid=me.pid, pid_started=me.create_time())
        assert processes.trainer_of(path) == me
    assert processes.trainer_of(path) is None


def test_where_there_is_no_sigterm_nothing_comes_before_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Windows: the cancel file has its whole time; then the process is ended."""
    monkeypatch.setattr(processes, "WINDOWS", True)
    path = write_run(tmp_path, state="running", run_id="r")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as trainer:
        lock = hold(path)
        status = files.read_json(path / files.STATUS)
        status |= {"pid": trainer.pid, "pid_started": psutil.Process(trainer.pid).create_time()}
        files.write_json(path / files.STATUS, status)
        assert processes.press(path, waited=processes.TERM_AFTER + 1) == ""
        assert trainer.poll() is None
        assert processes.press(path, waited=processes.KILL_AFTER) == processes.KILL
        trainer.wait()
        lock.release()
