"""Trainings in the background: a queue on disk, and a worker that outlives whoever asked for it.

A job is a run directory whose status says `queued`; nothing else holds state, so that a page, a
second tab, a command line and a reboot all see the same. `request` says what to train, `queue`
changes the queue, `worker` starts the runs in it as processes of their own, `submit` does both,
`processes` is all that differs between systems. Knows nothing of torch and of pages.
"""

from analysis.jobs.drain import drain
from analysis.jobs.queue import (
    Enqueued,
    at_a_time,
    cancel,
    delete,
    drop_resume,
    enqueue,
    is_waiting,
    list_jobs,
    queue_position,
    requeue,
    set_at_a_time,
)
from analysis.jobs.request import Request, requests_for
from analysis.jobs.study import (
    Part,
    Study,
    has_run,
    obstacle,
    parts,
    put_back,
    studies,
    study_parts,
    study_requests,
    write_missing,
)
from analysis.jobs.submit import Resumed, Trainings, Work, stop, submit
from analysis.jobs.worker import start_worker, work, worker_alive

__all__ = [
    "Enqueued",
    "Part",
    "Request",
    "Resumed",
    "Study",
    "Trainings",
    "Work",
    "at_a_time",
    "cancel",
    "delete",
    "drain",
    "drop_resume",
    "enqueue",
    "has_run",
    "is_waiting",
    "list_jobs",
    "obstacle",
    "parts",
    "put_back",
    "queue_position",
    "requests_for",
    "requeue",
    "set_at_a_time",
    "start_worker",
    "stop",
    "studies",
    "study_parts",
    "study_requests",
    "submit",
    "work",
    "worker_alive",
    "write_missing",
]
