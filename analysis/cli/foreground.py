"""Work in the foreground: Ctrl-C and SIGTERM end it in order, with the exit code that says so."""

from __future__ import annotations

import signal
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from analysis.training.session import Session

CANCELLED = 7
"""Exit code of what `cancel`, or the app, stopped from elsewhere: what comes after it must not
take it for done."""


@contextmanager
def stop_asked(patient: bool = False) -> Generator[list[int]]:
    """The signals that asked to stop, while it is open; asked again, it ends at once.

    Args:
        patient: heed a scheduler's warnings as well, and don't mind being asked again.
    """
    received: list[int] = []
    numbers: Sequence[int] = (signal.SIGINT, signal.SIGTERM)
    if patient:
        from analysis.jobs.drain import STOP_SIGNALS  # the only one here that needs the queue

        numbers = STOP_SIGNALS

    def stop(number: int, _frame: object) -> None:
        if received and not patient:  # asked again: don't wait for the next update
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave(received: list[int]) -> NoReturn:
    """Exit as what was stopped: by a signal, or from elsewhere."""
    raise typer.Exit(128 + received[0] if received else CANCELLED)


@contextmanager
def session(net: str) -> Generator[Session]:
    """A session of work that belongs to no run; raises typer.Exit where it was stopped.

    Args:
        net: what is worked on, for messages.
    """
    from analysis.training.session import Session

    with stop_asked() as received:
        with Session(should_stop=lambda: bool(received), net=net) as opened:
            yield opened
        if opened.stopped:
            leave(received)
