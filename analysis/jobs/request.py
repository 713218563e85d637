"""What somebody asks to be trained, as a value: the config it makes and its command line.

The config equals the one that `python -m analysis train` with that command line makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from analysis.commands import command, exact
from analysis.errors import RunError, SpecError
from analysis.runs import Run, RunConfig
from analysis.runs.format import now
from analysis.runs.provenance import Scratch
from analysis.specs import Compute, DataSpec, NetSpec, Recipe, recipe_for
from analysis.text import Listed

_CHANGE_OPTIONS = {
    "epochs": "--epochs",
    "batch_size": "--batch-size",
    "lr": "--lr",
    "weight_decay": "--weight-decay",
    "validation": "--validation",
}


@dataclass(frozen=True)
class Request:
    """One training that is wanted."""

    net: NetSpec
    data: DataSpec
    recipe_name: str
    """A preset: `paper`, `short`, `quick`."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Of the preset's fields: epochs, batch_size, lr, weight_decay, validation, augment."""
    seed: int = 0
    compute: Compute = field(default_factory=Compute)
    name: str = ""
    """The run directory's; by default date, net, recipe, seed and a random part."""

    @property
    def recipe(self) -> Recipe:
        """The preset with the changes, fitted to net and data. Raises SpecError."""
        return recipe_for(self.recipe_name, self.net, self.data, **self.changes)

    def config(self, command: str = "") -> RunConfig:
        """As written to config.json before the images are known. Raises SpecError."""
        return RunConfig(
            net=self.net,
            recipe=self.recipe,
            data=self.data,
            images=None,
            seed=self.seed,
            compute=self.compute,
            created=now(),
            command=command,
        )

    def arguments(self) -> list[str]:
        """The options of `train` that make this, defaults left out."""
        words = ["--net", self.net.name, "--data", str(self.data), "--recipe", self.recipe_name]
        for change, option in _CHANGE_OPTIONS.items():
            if change in self.changes:
                words += [option, exact(self.changes[change])]
        if self.changes.get("augment") is False:
            words.append("--no-augment")
        if self.seed:
            words += ["--seed", str(self.seed)]
        if self.data.title != DataSpec.parse(str(self.data)).title:
            words += ["--data-title", self.data.title]
        if self.data.resize:
            words += ["--resize", str(self.data.resize)]
        return words + self._compute_arguments() + (["--name", self.name] if self.name else [])

    def _compute_arguments(self) -> list[str]:
        compute, words = self.compute, []
        if compute.device != "auto":
            words += ["--device", compute.device]
        if compute.precision != "auto":
            words += ["--precision", compute.precision]
        if compute.compile is False:
            words.append("--no-compile")
        if compute.threads:
            words += ["--threads", str(compute.threads)]
        if compute.keep_weights:
            words.append("--keep-weights")
        return words

    def command(self, folder: Path | str | None = None, *options: str) -> str:
        """The command line, ready to copy.

        Args:
            folder: of the runs; named where it is not ./runs.
            options: further ones, such as `--once`.
        """
        return command("train", *self.arguments(), *options, runs=folder)

    def same_training(self, config: RunConfig) -> bool:
        """Whether a run of this config would compute the very same, fresh weights and all."""
        mine = self.config()
        return config.origin == Scratch() and (mine.net, mine.recipe, mine.data, mine.seed) == (
            config.net, config.recipe, config.data, config.seed,
        )  # fmt: skip


def requests_for(
    nets: Iterable[str],
    data: DataSpec,
    recipe_name: str,
    changes: Mapping[str, Any] | None = None,
    seed: int = 0,
    compute: Compute = Compute(),
    name: str = "",
) -> list[Request]:
    """A request for each net, in the order given; with several, the name is a prefix.

    Raises:
        SpecError: a net, the recipe or the folder makes no sense; all problems at once.
    """
    names = list(dict.fromkeys(net.strip() for net in nets if net.strip()))
    classes = data.count_classes()
    found, problems = [], []
    for net in names:
        own_name = name if not name or len(names) == 1 else f"{name}_{net}"
        try:
            spec = NetSpec.parse(net, classes)
            request = Request(spec, data, recipe_name, dict(changes or {}), seed, compute, own_name)
            request.config()
        except SpecError as error:
            problems.append(error.message)
        else:
            found.append(request)
    if problems:
        raise SpecError("{problems}", problems=Listed(tuple(dict.fromkeys(problems)), "\n"))
    return found


def request_of(run: Run) -> Request:
    """The request that a run fulfils.

    Raises:
        RunError: none makes such a run: it was imported or constructed.
        SpecError: this version has no such recipe.
    """
    config = run.config
    if config.recipe is None or config.data is None or not run.from_scratch:
        raise RunError("{run} was not trained here from scratch", run=run.id)
    preset = recipe_for(config.recipe.name, config.net, config.data)
    changes = {
        part.name: getattr(config.recipe, part.name)
        for part in fields(preset)
        if getattr(config.recipe, part.name) != getattr(preset, part.name)
    }
    return Request(config.net, config.data, config.recipe.name, changes, config.seed)
