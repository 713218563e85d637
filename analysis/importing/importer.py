"""From a foreign checkpoint to a run: read, recognise, verify, write.

`inspect` says what is in a file; `import_checkpoint` makes a run of it, with no history but with
layer responses in closed form, and measured ones where data are given.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from analysis.data import Images, Normalizer, load_images
from analysis.errors import ImportRefused
from analysis.importing.inspection import Inspection, inspect
from analysis.importing.normalizations import (
    NORMALIZATIONS,
    Normalization,
    parse_normalization,
)
from analysis.importing.recognition import expected_shapes
from analysis.importing.refusals import listed
from analysis.importing.verification import (
    Measured,
    better_normalization,
    check_classes,
    check_forward,
    check_numbers,
    check_pool,
    compare_with_claim,
    measure_error,
)
from analysis.nets import Net, build
from analysis.responses import Recording, closed_form
from analysis.runs import Run, RunConfig, create_run, files, load_run, open_writer, provenance
from analysis.runs.format import now
from analysis.spec import Compute, DataSpec, NetSpec
from analysis.text import Message
from analysis.training.finish import measure
from analysis.training.hardware import describe_versions
from analysis.weights import model_tensors

RECORDED_IMAGES = 256
"""Test images over which responses are measured on import."""
TRIAL_IMAGES = 256
"""Test images that decide where keys can't tell: plain or option A, a pool in the stem or none."""


@dataclass(frozen=True)
class Imported:
    """A run made from a file, and what the checks found."""

    run: Run
    inspection: Inspection
    measured: Measured | None
    notes: tuple[Message, ...]
    """What was assumed."""
    warnings: tuple[Message, ...]


def import_checkpoint(
    path: Path | str, folder: Path | str, *,
    net: str | None = None, normalization: str | Normalization | None = None,
    data: DataSpec | None = None, test_images: int | None = None,
    name: str | None = None, command: str = "", tick: Callable[[], None] | None = None,
) -> Imported:  # fmt: skip
    """Make a run of a checkpoint, verified.

    Args:
        path: a checkpoint file, or the directory of one of our runs.
        folder: of runs; the new one goes there.
        net: name of the net, where keys can't tell.
        normalization: of the list, `R,G,B/R,G,B`, or None for what the layout's repository uses.
        data: images to measure its error on; None: nothing is measured.
        test_images: how many of them, class-balanced; None: all.
        name: what messages and the run call the file.
        command: the command line, for the record.
        tick: called after each batch; may raise to stop.

    Raises:
        ImportRefused: the file, the net, its numbers or its classes; nothing is written then.
        DataError: the images can't be had.
        RunError: the folder can't be written.
    """
    found = inspect(path, net, name)
    try:
        return _import(found, Path(folder), normalization, data, test_images, command, tick)
    except ImportRefused as error:
        raise ImportRefused("{file}: {reason}", file=found.file.name, reason=error) from None


def _import(
    found: Inspection, folder: Path, normalization: str | Normalization | None,
    data: DataSpec | None, test_images: int | None, command: str, tick: Callable[[], None] | None,
) -> Imported:  # fmt: skip
    normalizer, chosen, notes = _normalizer(found, normalization)
    tensors = _our_tensors(found)
    warnings = check_numbers(tensors, found.net.keys)
    images, whole = None, None
    if data is not None:
        whole = load_images(data)
        check_classes(found.net.spec.classes, whole, data)
        images = whole.subset(test=test_images)
    spec = found.net.spec
    if found.net.ambiguous and images is not None:
        spec, note = _plain_or_residual(spec, tensors, images, normalizer)
        notes.append(note)
    else:
        notes += found.net.notes
    made = _filled(spec, tensors)
    check_forward(made)
    measured = recording = None
    if images is not None:
        if spec.stem == "cifar" and found.net.layout.name == "torchvision":
            check_pool(made, images.subset(test=TRIAL_IMAGES), normalizer)
        measured = measure_error(made, images, normalizer, tick)
        odd = compare_with_claim(measured, found.claim, spec.classes)
        if odd:
            known = {name: _made(other)[0] for name, other in NORMALIZATIONS.items()}
            few = images.subset(test=TRIAL_IMAGES)
            odd += better_normalization(made, few, normalizer, known)
        warnings += odd
        recorded = images.subset(test=RECORDED_IMAGES).test
        recording = measure(made, recorded, normalizer, found.epoch, tick)
    warnings += _leftovers(found)
    config = RunConfig(
        net=spec, recipe=None, data=data, seed=0, compute=Compute(), created=now(),
        images=images.info(subset=len(images.test) < len(whole.test)) if images and whole else None,
        command=command, normalization=chosen.to_dict() if chosen else {},
        origin=provenance.parse(_origin(found, measured, notes, warnings)),
    )  # fmt: skip
    run = _write(folder, config, made, normalizer, found, measured, recording)
    inspection = replace(found, net=replace(found.net, spec=spec))
    return Imported(run, inspection, measured, tuple(notes), tuple(warnings))


def _normalizer(
    found: Inspection, asked: str | Normalization | None
) -> tuple[Normalizer, Normalization | None, list[Message]]:
    """The input's normalization: as asked, the file's own, or that of its repository."""
    if asked is None and found.normalizer is not None:
        return found.normalizer, None, []
    notes = []
    if asked is None:
        if found.suggestion is None:
            raise ImportRefused(
                "it does not say how its input was normalized, and no repository is known for its "
                "layout; name the normalization. There are {names}, or R,G,B/R,G,B typed in",
                names=", ".join(NORMALIZATIONS),
            )
        asked = found.suggestion
        if "normalization" in found.file.hint:
            return *_made(parse_normalization(asked)), []
        notes.append(
            Message(
                "normalization {name}, which {who} uses, was taken; a wrong one ruins accuracy "
                "silently: name another if it is not that",
                name=asked,
                who=found.net.layout.title,
            )
        )
    return *_made(parse_normalization(asked) if isinstance(asked, str) else asked), notes


def _made(chosen: Normalization) -> tuple[Normalizer, Normalization]:
    """As tensors, and as named."""
    mean, std = (
        torch.tensor(values, dtype=torch.float32).view(3, 1, 1)
        for values in (chosen.mean, chosen.std)
    )
    return Normalizer(mean, std), chosen


def _our_tensors(found: Inspection) -> dict[str, Tensor]:
    """The tensors by our keys; a counter that old files lack is 0, since nothing uses it."""
    tensors = {ours: found.file.tensors[theirs] for ours, theirs in found.net.keys.items()}
    for key in expected_shapes(found.net.spec):
        if key.endswith("running_var"):
            counter = key.replace("running_var", "num_batches_tracked")
            value = tensors.get(counter, torch.tensor(0))
            tensors[counter] = value.to(torch.int64).reshape(())
    return tensors


def _filled(spec: NetSpec, tensors: dict[str, Tensor]) -> Net:
    net = build(spec, seed=0)
    net.load_state_dict(tensors)
    return net.eval()


def _plain_or_residual(
    spec: NetSpec, tensors: dict[str, Tensor], images: Images, normalizer: Normalizer
) -> tuple[NetSpec, Message]:
    """Which of the two the weights work as, by the error on a few images."""
    few = images.subset(test=TRIAL_IMAGES)
    errors = {
        candidate: measure_error(_filled(candidate, tensors), few, normalizer).error
        for candidate in (spec, spec.counterpart())
    }
    best = min(errors, key=lambda candidate: errors[candidate])
    return best, Message(
        "keys can't tell a plain net from one with option A; taken as {net} by the error over {n} "
        "images ({errors})",
        net=best.name,
        n=len(few.test),
        errors=", ".join(f"{candidate.name} {error:.1f} %" for candidate, error in errors.items()),
    )


def _leftovers(found: Inspection) -> list[Message]:
    unused = found.net.unused
    if not unused:
        return []
    return [
        Message(
            "{n} tensors of the file are no part of the net: {keys}",
            n=len(unused),
            keys=listed(unused),
        )
    ]


def _origin(
    found: Inspection, measured: Measured | None, notes: list[Message], warnings: list[Message]
) -> dict[str, Any]:
    """Where the run comes from, as its config keeps it."""
    claim = found.claim
    return {
        "kind": "import",
        "file": found.file.name,
        "bytes": found.file.size,
        "sha256": found.file.sha256,
        "format": found.file.format,
        "layout": found.net.layout.name,
        "tensors_used": len(found.net.keys),
        "unused": list(found.net.unused[:100]),
        "claimed_error": claim.error if claim else None,
        "claimed_by": claim.key if claim else None,
        "measured_error": measured.error if measured else None,
        "measured_images": measured.n_images if measured else 0,
        "notes": [note.english() for note in notes],
        "warnings": [warning.english() for warning in warnings],
    }


def _write(
    folder: Path, config: RunConfig, net: Net, normalizer: Normalizer, found: Inspection,
    measured: Measured | None, recording: Recording | None,
) -> Run:  # fmt: skip
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
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return load_run(path)
