"""From a foreign checkpoint to a run: read, recognise, verify, write.

`inspect` says what is in a file; `import_checkpoint` makes a run of it, with no history but with
layer responses in closed form, and measured ones where data are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from analysis.data import Images, Normalizer, left_out, load_images
from analysis.errors import ImportRefused
from analysis.exchange.importing.inspection import Inspection, inspect
from analysis.exchange.importing.normalizations import (
    NORMALIZATIONS,
    Normalization,
    parse_normalization,
)
from analysis.exchange.importing.recognition import expected_shapes
from analysis.exchange.importing.trials import MARGIN, TRIAL_IMAGES, Outcome, try_out
from analysis.exchange.importing.verification import (
    Measured,
    check_classes,
    check_forward,
    check_numbers,
    check_pool,
    is_odd,
    measure_error,
    oddity,
)
from analysis.exchange.importing.writing import leftovers, origin_of, write_import
from analysis.nets import Net, build
from analysis.responses import Recording
from analysis.responses.recorder import RECORD_BATCH
from analysis.runs import Run, RunConfig
from analysis.runs.format import now
from analysis.specs import Compute, DataSpec, NetSpec
from analysis.text import Message
from analysis.training.evaluate import EVALUATION_BATCH
from analysis.training.finish import measure

RECORDED_IMAGES = 256
"""Test images over which responses are measured on import."""

Progress = Callable[[Message, int, int], None]
"""Called with what is done, how much of it, and of how much; may raise to stop."""


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
    weights: str | None = None, names: Mapping[str, str] | None = None,
    name: str | None = None, command: str = "", progress: Progress | None = None,
) -> Imported:  # fmt: skip
    """Make a run of a checkpoint, verified.

    Args:
        path: a checkpoint file, or the directory of one of our runs.
        folder: of runs; the new one goes there.
        net: name of the net, where keys can't tell.
        normalization: of the list, `R,G,B/R,G,B`, or None for the file's own, else what the images
            tell, else open: then there are layer responses in closed form, which need none.
        data: images to measure its error on; None: nothing is measured.
        test_images: how many of them, class-balanced; None: all.
        weights: which of several state dicts in the file.
        names: other names for parts of the net, as `inspect` takes them.
        name: what messages and the run call the file.
        command: the command line, for the record.
        progress: called after each batch; may raise to stop.

    Raises:
        ImportRefused: the file, the net, its numbers or its classes; nothing is written then.
        DataError: the images can't be had.
        RunError: the folder can't be written.
    """
    found = inspect(path, net, name, weights, names)
    asked = parse_normalization(normalization) if isinstance(normalization, str) else normalization
    work = _Work(found, asked, data, test_images, progress or (lambda what, done, total: None))
    try:
        return work.run(Path(folder), command)
    except ImportRefused as error:
        raise ImportRefused("{file}: {reason}", file=found.file.name, reason=error) from None


class _Work:
    """One import: what was found and asked for, and what becomes of it step by step."""

    def __init__(
        self, found: Inspection, asked: Normalization | None, data: DataSpec | None,
        test_images: int | None, progress: Progress,
    ) -> None:  # fmt: skip
        self.found, self.data, self.progress = found, data, progress
        self.test_images = test_images
        self.tensors = _our_tensors(found)
        self.notes: list[Message] = []
        self.warnings = check_numbers(self.tensors, found.net.keys)
        self.spec = found.net.spec
        self.chosen = asked
        if asked is None and found.normalizer is None and found.said:
            self.chosen = parse_normalization(found.said)
        self.normalizer = found.normalizer if asked is None else None
        if self.chosen is not None:
            self.normalizer = _made(self.chosen)

    def run(self, folder: Path, command: str) -> Imported:
        """All steps; nothing is written before all checks are done."""
        images = whole = measured = recording = None
        if self.data is not None:
            whole = load_images(self.data, progress=self._decoding, test_only=True)
            self.notes += left_out(self.data)
            check_classes(self.spec.classes, whole, self.data)
            images = whole.subset(test=self.test_images)
            self._decide(images)
        else:
            self._leave_open()
        made = _filled(self.spec, self.tensors)
        check_forward(made)
        if images is not None and self.normalizer is not None:
            measured, recording = self._measure(made, images)
        self.warnings += leftovers(self.found)
        info = None
        if images is not None and whole is not None:
            info = images.info(subset=len(images.test) < len(whole.test))
        config = RunConfig(
            net=self.spec, recipe=None, data=self.data, images=info, seed=0, compute=Compute(),
            created=now(), command=command, normalization=self._as_recorded(),
            origin=origin_of(self.found, measured, self.notes, self.warnings),
        )  # fmt: skip
        run = write_import(folder, config, made, self.normalizer, self.found, measured, recording)
        inspection = replace(self.found, net=replace(self.found.net, spec=self.spec))
        notes = tuple(self.notes)
        return Imported(run, inspection, measured, notes, tuple(self.warnings))

    def _decoding(self, done: int, total: int) -> None:
        self.progress(Message("decoding test images"), done, total)

    def _ticks(self, what: Message, total: int) -> Callable[[], None]:
        """To be called after each of so many batches."""
        done = 0

        def tick() -> None:
            nonlocal done
            done += 1
            self.progress(what, min(done, total), total)

        return tick

    def _leave_open(self) -> None:
        """Without images weights say no more than they do, and nothing is guessed."""
        self.notes += self.found.notes
        if self.normalizer is not None:
            return
        usual = self.found.usual
        if usual == "imagenet" and self.spec.classes == 1000:
            self.chosen = NORMALIZATIONS[usual]
            self.normalizer = _made(self.chosen)
            self.notes.append(
                Message(
                    "normalization imagenet was taken, since it is a net of 1000 classes with the "
                    "names of {who}; name another if it is not that",
                    who=self.found.net.layout.title,
                )
            )
            return
        hint = Message("{who} uses {name}", who=self.found.net.layout.title, name=usual)
        self.notes.append(
            Message(
                "how its input was normalized is not known ({hint}), so no picture can be shown to "
                "it: layer responses in closed form need none. Give images to measure it on, or "
                "name the normalization, for the rest",
                hint=hint if usual else Message("the file does not say"),
            )
        )

    def _decide(self, images: Images) -> None:
        """The net and the normalization as images tell them."""
        candidates = self.found.net.candidates
        self.notes += [note for note in self.found.notes if note not in self.found.net.notes]
        if len(candidates) == 1:
            self.notes += self.found.net.notes
        if len(candidates) == 1 and self.normalizer is not None:
            return
        known = {name: _made(one) for name, one in NORMALIZATIONS.items()}
        if self.normalizer is not None:
            known = {"taken": self.normalizer}
        outcome = self._try(candidates, images, known)
        self.spec = outcome.spec
        self.notes += outcome.notes
        if self.normalizer is not None:
            return
        if outcome.normalization is None:
            raise ImportRefused(
                "it does not say how its input was normalized, and the images don't tell "
                "({errors}); name the normalization: {names}, or R,G,B/R,G,B typed in",
                errors=", ".join(f"{name} {e:.1f} %" for name, e in outcome.errors.items()),
                names=", ".join(NORMALIZATIONS),
            )
        self.chosen = NORMALIZATIONS[outcome.normalization]
        self.normalizer = known[outcome.normalization]

    def _try(
        self, candidates: tuple[NetSpec, ...], images: Images, known: Mapping[str, Normalizer]
    ) -> Outcome:
        batches = -(-min(TRIAL_IMAGES, len(images.test)) // EVALUATION_BATCH)
        total = batches * len(candidates) * len(known)
        tick = self._ticks(Message("trying what its weights don't tell"), total)
        found = self.found
        return try_out(candidates, self.tensors, images, known, found.claim, found.usual, tick)

    def _measure(self, net: Net, images: Images) -> tuple[Measured, Recording]:
        """Error and responses; warns where the error is odd."""
        assert self.normalizer is not None
        spec, claim = self.spec, self.found.claim
        if spec.stem == "cifar" and self.found.net.layout.name == "torchvision":
            check_pool(net, images.subset(test=TRIAL_IMAGES), self.normalizer)
        total = -(-len(images.test) // EVALUATION_BATCH)
        tick = self._ticks(Message("measuring its error"), total)
        measured = measure_error(net, images, self.normalizer, tick)
        if is_odd(measured, claim, spec.classes):
            better = self._better(images)
            self.warnings += [oddity(measured, claim, spec.classes, tried=not better), *better]
        recorded = images.subset(test=RECORDED_IMAGES).test
        tick = self._ticks(Message("recording its responses"), -(-len(recorded) // RECORD_BATCH))
        return measured, measure(net, recorded, self.normalizer, self.found.epoch, tick)

    def _better(self, images: Images) -> list[Message]:
        """The normalization or the net that suits the weights much better, if any does."""
        assert self.normalizer is not None
        every = tuple(dict.fromkeys((self.spec, *self.found.net.candidates)))
        known = {name: _made(one) for name, one in NORMALIZATIONS.items()}
        few = images.subset(test=TRIAL_IMAGES)
        here = measure_error(_filled(self.spec, self.tensors), few, self.normalizer).error
        outcome = self._try(every, few, known)
        name = min(outcome.errors, key=outcome.errors.__getitem__)
        error = outcome.errors[name]
        if error > here - MARGIN:
            return []
        if outcome.spec != self.spec:
            return [
                Message(
                    "as {net} with the normalization {name} it makes {error:.1f} % errors over {n} "
                    "images, as it was taken {here:.1f} %: import it again so",
                    net=outcome.spec.name, name=name, error=error, n=len(few.test), here=here,
                )
            ]  # fmt: skip
        return [
            Message(
                "with the normalization {name} it makes {error:.1f} % errors over {n} images, with "
                "the one taken {here:.1f} %: import it again with {name}",
                name=name, error=error, n=len(few.test), here=here,
            )
        ]  # fmt: skip

    def _as_recorded(self) -> dict[str, object]:
        if self.chosen is not None:
            return self.chosen.to_dict()
        return {} if self.normalizer is not None else {"name": "unknown"}


def _made(chosen: Normalization) -> Normalizer:
    mean, std = (
        torch.tensor(values, dtype=torch.float32).view(3, 1, 1)
        for values in (chosen.mean, chosen.std)
    )
    return Normalizer(mean, std)


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
