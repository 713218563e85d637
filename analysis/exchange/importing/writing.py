"""An import as a run on disk: its weights, its responses, and where it comes from."""

from __future__ import annotations

import shutil
from pathlib import Path

from analysis.data import Normalizer
from analysis.exchange.importing.inspection import Inspection
from analysis.exchange.importing.refusals import listed
from analysis.exchange.importing.verification import Measured
from analysis.nets import Net
from analysis.responses import Recording, closed_form
from analysis.runs import Run, RunConfig, create_run, files, load_run, open_writer, provenance
from analysis.runs.format import now
from analysis.text import Message
from analysis.training.hardware import describe_versions
from analysis.weights import model_tensors


def leftovers(found: Inspection) -> list[Message]:
    """A warning about tensors of the file that are no part of the net."""
    unused = [key for key in found.net.unused if key not in found.normalizer_keys]
    if not unused:
        return []
    return [
        Message(
            "{n} tensors of the file are no part of the net: {keys}",
            n=len(unused),
            keys=listed(unused),
        )
    ]


def origin_of(
    found: Inspection, measured: Measured | None, notes: list[Message], warnings: list[Message]
) -> provenance.Imported:
    """Where the run comes from, as its config keeps it."""
    claim = found.claim
    return provenance.Imported(
        file=found.file.name,
        bytes=found.file.size,
        sha256=found.file.sha256,
        format=found.file.format,
        layout=found.net.layout.name,
        weights=found.file.weights,
        tensors_used=len(found.net.keys),
        unused=tuple(found.net.unused[:100]),
        claimed_error=claim.error if claim else None,
        claimed_by=claim.key if claim else None,
        measured_error=measured.error if measured else None,
        measured_images=measured.n_images if measured else 0,
        notes=tuple(note.english() for note in notes),
        warnings=tuple(warning.english() for warning in warnings),
    )


def write_import(
    folder: Path, config: RunConfig, net: Net, normalizer: Normalizer | None, found: Inspection,
    measured: Measured | None, recording: Recording | None,
) -> Run:  # fmt: skip
    """Write it; nothing stays behind where that fails."""
    path = create_run(folder, config)
    try:
        with open_writer(path) as writer:
            metadata = {"net": config.net.name, "epoch": str(found.epoch)}
            writer.save_tensors(files.MODEL, model_tensors(net, normalizer), metadata)
            writer.append("responses", closed_form(net, found.epoch))
            if recording is not None:
                writer.append("responses", recording.responses)
                if len(recording.refinement):
                    writer.append("refinement", recording.refinement)
            writer.set_status(
                state="finished", epoch=found.epoch, epochs_total=found.epoch, ended=now(),
                test_error=measured.error if measured else None, versions=describe_versions(),
            )  # fmt: skip
    except BaseException as error:
        shutil.rmtree(path, ignore_errors=True)
        if isinstance(error.__cause__, OSError):  # there is no run that could be resumed
            raise files.disk_error(path, error.__cause__) from error
        raise
    return load_run(path)
