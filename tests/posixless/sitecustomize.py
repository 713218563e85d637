"""For Residual Lens, what only POSIX has is gone: put this folder on PYTHONPATH, children have it.

Its modules find neither the modules nor the attributes of `os` and `signal` that Windows lacks.
Other libraries keep theirs: each has an implementation of its own for Windows.
"""

from __future__ import annotations

import builtins
import os
import signal
import types
from typing import Any

OURS = ("analysis", "pages", "app")
MODULES = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
OS = (
    "WNOHANG", "chown", "chroot", "ctermid", "fchdir", "fchown", "fork", "forkpty", "getegid",
    "geteuid", "getgid", "getgroups", "getloadavg", "getpgid", "getpgrp", "getpriority", "getsid",
    "getuid", "initgroups", "killpg", "lchown", "mkfifo", "mknod", "nice", "openpty", "pipe2",
    "posix_fadvise", "posix_fallocate", "posix_spawn", "pread", "pwrite", "register_at_fork",
    "SCHED_IDLE", "sched_getaffinity", "sched_setaffinity", "sched_setscheduler", "sched_yield",
    "sendfile", "setegid", "seteuid", "setgid", "setpgid", "setpriority", "setsid", "setuid",
    "statvfs", "sync", "sysconf", "tcgetpgrp", "tcsetpgrp", "umask", "uname", "wait", "wait3",
    "wait4", "waitid",
)  # fmt: skip
SIGNAL = (
    "ITIMER_REAL", "SIGALRM", "SIGBUS", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE",
    "SIGPROF", "SIGQUIT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGUSR2", "alarm",
    "pause", "pthread_kill", "pthread_sigmask", "setitimer", "siginterrupt", "sigpending",
    "sigtimedwait", "sigwait", "sigwaitinfo",
)  # fmt: skip


def _without(module: types.ModuleType, gone: tuple[str, ...]) -> types.ModuleType:
    copy = types.ModuleType(module.__name__)
    copy.__dict__.update({k: v for k, v in module.__dict__.items() if k not in gone})
    return copy


STRIPPED = {"os": _without(os, OS), "signal": _without(signal, SIGNAL)}
_real = builtins.__import__


def _import(
    name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
) -> Any:
    if level == 0 and str((globals or {}).get("__name__")).partition(".")[0] in OURS:
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in STRIPPED:
            return STRIPPED[name]
    return _real(name, globals, locals, fromlist, level)


builtins.__import__ = _import
