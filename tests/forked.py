"""Python processes that need not import torch: forked from one that has imported everything.

`run` is `subprocess.run([sys.executable, "-c", code, *words], capture_output=True)`, where that
takes seconds for its imports alone; without `os.fork` (Windows) it is that very call. `analysis`
is a command of ours by it.
"""

from __future__ import annotations

import atexit
import base64
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMAND = """
import sys
sys.argv[0], sys.modules["__main__"].__package__ = "__main__.py", "analysis"
from analysis.cli import main
main()
"""
"""`python -m analysis`, for `run`."""


def run(
    code: str, words: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[bytes]:
    """A process of its own that runs some code.

    Raises:
        subprocess.TimeoutExpired: it was killed.
    """
    command = [sys.executable, "-c", code, *words]
    if not hasattr(os, "fork"):
        return subprocess.run(command, cwd=cwd, capture_output=True, timeout=timeout, check=False,
                              env=dict(environment))  # fmt: skip
    server = _server()
    assert server.stdin
    assert server.stdout
    asked = {"code": code, "words": list(words), "cwd": str(cwd), "timeout": timeout,
             "environment": dict(environment)}  # fmt: skip
    server.stdin.write(json.dumps(asked).encode() + b"\n")
    server.stdin.flush()
    done = json.loads(server.stdout.readline())
    if done["code"] is None:
        raise subprocess.TimeoutExpired(command, timeout)
    out, err = (base64.b64decode(done[stream]) for stream in ("out", "err"))
    return subprocess.CompletedProcess(command, done["code"], out, err)


def analysis(
    *words: str, cwd: Path = ROOT, before: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """`python -m analysis WORDS`, as `raw`, with what it writes as text."""
    done = raw(words, cwd, before, **environment)
    out, err = (text.decode().replace(os.linesep, "\n") for text in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def raw(
    words: Sequence[str], cwd: Path, before: str = "", timeout: float = 300, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """`python -m analysis WORDS` on one thread; `before` is Python that runs in it first.

    What a module reads of the environment when it is imported is read before these are set.
    """
    paths = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    around = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, **environment}
    return run(f"{before}\n{COMMAND}", words, cwd, around, timeout)


@cache
def _server() -> subprocess.Popen[bytes]:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forked"], cwd=ROOT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    atexit.register(server.communicate)  # which closes its standard input: it ends
    return server


def _serve() -> None:
    """Fork for every line of standard input, and say how it ended."""
    answers = os.dup(1)
    for module in pkgutil.walk_packages([str(ROOT / "analysis")], "analysis."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    importlib.import_module("torch._dynamo")  # which torch's optimizers import when one is made
    gc.freeze()
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        pipes = {"out": os.pipe(), "err": os.pipe()}
        child = os.fork()
        if not child:
            _become(asked, pipes["out"][1], pipes["err"][1])
            os._exit(_end(asked["code"]))  # torch needs half a second to be taken down
        for _reads, writes in pipes.values():
            os.close(writes)
        said = _wait(child, {name: ends[0] for name, ends in pipes.items()}, asked["timeout"])
        os.write(answers, json.dumps(said).encode() + b"\n")


def _become(asked: dict, out: int, err: int) -> None:
    """The process that was asked for."""
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.environ.clear()
    os.environ.update(asked["environment"])
    said = os.environ.get("PYTHONIOENCODING")
    encoding, errors = said or sys.stdout.encoding, "strict" if said else sys.stdout.errors
    # New ones: the old ones may be files that were sought in, before they became pipes.
    sys.stdout = open(1, "w", encoding=encoding, errors=errors)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding=encoding, errors="backslashreplace")  # noqa: SIM115
    os.chdir(asked["cwd"])
    sys.argv = ["-c", *asked["words"]]


def _end(code: str) -> int:
    """Run some code to the end of its process, as Python does; its exit status."""
    status = 0
    try:
        exec(code, {"__name__": "__main__"})
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        status = 1
        sys.excepthook(*sys.exc_info())  # ty: ignore[invalid-argument-type]
    threading._shutdown()  # ty: ignore[unresolved-attribute]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return 120
    return status


def _wait(child: int, ends: dict[str, int], timeout: float) -> dict:
    """What it writes until it has ended, and its exit status as `subprocess` has it."""
    said = dict.fromkeys(ends, b"")
    until, expired = time.monotonic() + timeout, False
    with selectors.DefaultSelector() as selector:
        for name, end in ends.items():
            selector.register(end, selectors.EVENT_READ, name)
        while selector.get_map():
            ready = selector.select(max(until - time.monotonic(), 0))
            if not ready:
                expired = True
                break
            for key, _event in ready:
                some = os.read(key.fd, 65536)
                said[key.data] += some
                if not some:
                    selector.unregister(key.fd)
    for end in ends.values():
        os.close(end)
    if expired:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    texts = {name: base64.b64encode(text).decode() for name, text in said.items()}
    return {"code": None if expired else code, **texts}


if __name__ == "__main__":
    _serve()
