"""How pages say times, states and how far a run is."""

from __future__ import annotations

from pathlib import Path

from analysis.escape import for_markdown
from analysis.runs import Run, SavedRecording
from analysis.text import _


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`, `2.1 days`."""
    if seconds < 90:
        return _("{number} s").format(number=round(seconds))
    if seconds < 5400:
        return _("{number} min").format(number=round(seconds / 60))
    if seconds < 36 * 3600:
        return _("{number} h").format(number=f"{seconds / 3600:.1f}")
    return _("{number} days").format(number=f"{seconds / 86400:.1f}")


def state_word(state: str) -> str:
    """A run's state, as people read it."""
    return {
        "queued": _("queued"),
        "running": _("running"),
        "finished": _("finished"),
        "cancelled": _("cancelled"),
        "failed": _("failed"),
        "interrupted": _("interrupted"),
    }[state]


def standing_words(run: Run) -> str:
    """A run's state and, where it has begun and not finished, how far it is."""
    from analysis.jobs import is_waiting  # the front page has no use for it

    if run.state == "queued" and not is_waiting(run):
        return _("not started")
    state = _("running on {host}").format(host=run.host) if run.host else state_word(run.state)
    if run.state == "finished" or not run.status.epoch:
        return state
    at = _("{state}, epoch {epoch} of {total}")
    return at.format(state=state, epoch=run.status.epoch, total=run.status.epochs_total)


def watched_words(recording: SavedRecording) -> str:
    """Where a training loop that is not ours is: epoch, updates, errors."""
    status = recording.status
    if status is None:
        return ""
    at = _("epoch {epoch} of {total}") if status.epochs_total else _("epoch {epoch}")
    parts = [at.format(epoch=status.epoch, total=status.epochs_total)]
    if status.iteration:
        parts.append(_("{count} updates").format(count=f"{status.iteration:,}"))
    if status.train_error is not None:
        parts.append(_("training error {error} %").format(error=f"{status.train_error:.2f}"))
    if status.test_error is not None:
        parts.append(_("test error {error} %").format(error=f"{status.test_error:.2f}"))
    return " · ".join(parts)


def share_done(run: Run) -> float:
    """How much of a training, or of a construction, is done: 0 to 1."""
    status = run.status
    part = status.step / status.steps_per_epoch if status.steps_per_epoch else 0.0
    return min((status.epoch + part) / max(status.epochs_total, 1), 1.0)


def progress_words(run: Run) -> str:
    """Where a run that is under way is: epoch, rate, error, time left, memory."""
    status = run.status
    at = _("epoch {epoch} of {total}")
    if run.is_construction:
        at = _("measuring the shallower and the deeper net")
    epoch = min(status.epoch + 1, status.epochs_total)
    parts = [at.format(epoch=epoch, total=status.epochs_total)]
    if status.images_per_second:
        parts.append(_("{rate} images/s").format(rate=round(status.images_per_second)))
    if status.train_error is not None:
        parts.append(_("training error {error} %").format(error=f"{status.train_error:.2f}"))
    if status.seconds_left is not None:
        parts.append(_("{time} left").format(time=duration(status.seconds_left)))
    if status.memory_mb:
        parts.append(_("{memory} GiB of memory").format(memory=f"{status.memory_mb / 1024:.1f}"))
    if run.host:
        parts.append(_("on {host}").format(host=for_markdown(run.host)))
    return " · ".join(parts)


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log; empty where there is none."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, log.stat().st_size - 200 * lines))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.strip().split("\n")[-lines:])
