"""What config.json (written once) and status.json (replaced at every step worth telling) hold."""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Annotated, Any, Literal, Self, get_args

from analysis.errors import RunDamaged, SpecError
from analysis.runs import provenance
from analysis.runs.fields import Count, Percent, Positive, Range, check, check_fields
from analysis.runs.files import CONFIG, STATUS
from analysis.runs.provenance import SCRATCH, Provenance
from analysis.specs import Compute, DataSpec, NetSpec, Recipe, plan
from analysis.text import Message

FORMAT = 1

State = Literal["queued", "running", "finished", "cancelled", "failed", "interrupted"]
STATES = get_args(State)


@dataclass(frozen=True)
class ImagesInfo:
    """The images that a run saw, so that runs on different ones are never taken for comparable."""

    fingerprint: str
    """Hash of all pixels and labels, training and test (first 16 hex digits of SHA-256)."""
    n_train: Count
    """Training images used."""
    n_test: Count
    """Test images used."""
    classes: tuple[str, ...]
    """Class names in the order of the net's outputs."""
    size: Annotated[int, Range(1, 10_000)] = 32
    """Height and width in pixels."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Per-channel mean of the training images in 0..1."""
    subset: bool = False
    """Whether the recipe took only a part of the data set."""


@dataclass(frozen=True)
class RunConfig:
    """The definition of a run; a kill can't damage it, since it is written once, at the start."""

    net: NetSpec
    recipe: Recipe | None
    """None for an imported net."""
    data: DataSpec | None
    images: ImagesInfo | None
    seed: int
    compute: Compute
    created: str
    """ISO 8601 in UTC."""
    command: str = ""
    """The command line that makes this run."""
    origin: Provenance = SCRATCH
    """Where the first weights came from."""
    normalization: dict[str, Any] = field(default_factory=dict)
    """Of an imported net's input: `InputScale`; empty: our own, the mean in model file."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields of the file that this version does not know."""

    def to_json(self) -> dict[str, Any]:
        """As in config.json."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "extra"}
        for name, value in values.items():
            if hasattr(value, "to_json"):
                values[name] = value.to_json()
            elif hasattr(value, "__dataclass_fields__"):
                values[name] = asdict(value)
        counts = {
            "parameters": plan.parameters(self.net),
            "multiply_adds": plan.multiply_adds(self.net, self.image_size),
        }
        return {"format": FORMAT, **values, **counts, **self.extra}

    @property
    def image_size(self) -> int:
        """Height and width of the net's input in pixels."""
        return self.images.size if self.images else self.net.image_size

    @property
    def data_here(self) -> DataSpec | None:
        """`data` with its folder on this machine, where somebody named another than it had."""
        if self.data is None or self.images is None:
            return self.data
        return self.data.on_this_machine(self.images.fingerprint)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The config that a file holds.

        Raises:
            RunDamaged: a field is missing or makes no sense, or the file is from a newer format.
        """
        version = values.get("format")
        if not isinstance(version, int) or not 1 <= version <= FORMAT:
            raise RunDamaged(
                "config.json has format {version!r}; this version of Residual Lens reads up to "
                "{newest}: update it to open this run",
                version=version,
                newest=FORMAT,
            )
        check_fields(_Simple, values, CONFIG)
        check_fields(InputScale, values.get("normalization", {}), CONFIG, "normalization")
        try:
            parsed: dict[str, Any] = {
                "net": _part(NetSpec, values["net"], "net"),
                **{name: _optional(values, name, cls) for name, cls in _OPTIONAL.items()},
                "compute": _optional(values, "compute", Compute) or Compute(),
                "seed": values["seed"],
                "created": values["created"],
                "command": values.get("command", ""),
                "origin": provenance.parse(values.get("origin", {})),
                "normalization": values.get("normalization", {}),
            }
        except KeyError as error:
            raise RunDamaged("config.json has no field {error}", error=error) from error
        images, net = parsed["images"], parsed["net"]
        if images is not None and len(images.classes) != net.classes:
            raise RunDamaged(
                "config.json: {found} names of classes, but the net has {classes} outputs",
                found=len(images.classes), classes=net.classes,
            )  # fmt: skip
        known = {*parsed, "format", "parameters", "multiply_adds"}
        return cls(**parsed, extra={k: v for k, v in values.items() if k not in known})


def _optional(values: dict[str, Any], name: str, cls: Any) -> Any:
    return None if values.get(name) is None else _part(cls, values[name], name)


def _part(cls: Any, held: object, name: str) -> Any:
    """The object in config.json that describes a dataclass, as one. Raises RunDamaged."""
    return _parsed(cls, _Held(repr(held), held), name)


@dataclass(frozen=True, slots=True)
class _Held:
    """What a file holds at a field, equal where it is written alike: 1 is not 1.0 there."""

    written: str
    value: object = field(compare=False)


@lru_cache(maxsize=1024)  # thousands of runs have the same few
def _parsed(cls: Any, held: _Held, name: str) -> Any:
    values = check_fields(cls, held.value, CONFIG, name)
    known = {f.name for f in fields(cls)}
    kept = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known}
    try:
        return cls.from_dict(values) if hasattr(cls, "from_dict") else cls(**kept)
    except (SpecError, TypeError, ValueError) as error:
        raise RunDamaged("config.json: {error}", error=error) from error


_OPTIONAL = {"recipe": Recipe, "data": DataSpec, "images": ImagesInfo}


@dataclass(frozen=True)
class InputScale:
    """(pixel - mean) / std, per colour, of pixels in 0..1."""

    name: str = ""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class _Simple:
    """The simple fields of config.json."""

    seed: int
    created: str
    command: str
    origin: dict[str, Any]
    normalization: dict[str, Any]


@dataclass(frozen=True)
class RunStatus:
    """How far a run is; small, and replaced whole."""

    state: State
    epoch: Count = 0
    """Complete epochs on disk."""
    iteration: Count = 0
    """Updates up to there."""
    epochs_total: Count = 0
    """Epochs that the recipe asks for."""
    step: Count = 0
    """Updates done of the epoch under way."""
    steps_per_epoch: Count = 0
    train_error: Percent | None = None
    """Running training error of the last complete epoch, percent."""
    train_error_clean: Percent | None = None
    """Training error on the clean training set at the end, percent."""
    test_error: Percent | None = None
    """Of the last complete epoch, percent."""
    queued_at: Positive | None = None
    """Its place in the queue, a number that only grows: the queue's order. None: it never was."""
    reason: Message = field(default_factory=Message)
    """Why it stopped, in words, unless it finished. The file holds it in English, and as text and
    values, so that it is read in any language."""
    pid: Count | None = None
    pid_started: Positive | None = None
    """When that process began, seconds since 1970: a pid alone may be another's by now."""
    host: str = ""
    heartbeat: str = ""
    """When this was written, ISO 8601 in UTC."""
    started: str = ""
    ended: str = ""
    wall_seconds: Positive = 0.0
    """Time spent on it in all its sessions."""
    seconds_left: Positive | None = None
    """Estimate while it runs."""
    images_per_second: Positive | None = None
    memory_mb: Positive | None = None
    """Peak resident memory of the training process, MiB."""
    weights: Literal["", "left out"] = ""
    """`left out`: the run is whole, but its weights were not copied with it."""
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As in status.json."""
        values = asdict(replace(self, reason=Message()))  # whose values may be anything
        extra = values.pop("extra")
        parts = {_PARTS: self.reason.to_json()} if self.reason.values else {}
        return {**extra, **values, "reason": self.reason.english(), **parts}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The status that a file holds.

        Raises:
            RunDamaged: the state is not one we know, or a count is not a number.
        """
        if values.get("state") not in STATES:
            raise RunDamaged(
                "status.json: state {state!r} is none of {states}",
                state=values.get("state"),
                states=STATES,
            )
        values = dict(check_fields(cls, values, STATUS))
        reason = values.get("reason", "")
        check(reason, str, STATUS, "reason")
        values["reason"] = Message.from_json(values.pop(_PARTS, None)) or Message(reason)
        known = _names(cls)
        return cls(
            **{k: v for k, v in values.items() if k in known},
            extra={k: v for k, v in values.items() if k not in known},
        )

    def with_(self, **changes: Any) -> RunStatus:
        """A copy with changes and a fresh heartbeat."""
        return replace(self, **{"heartbeat": now(), **changes})


@cache
def _names(cls: type[RunStatus]) -> frozenset[str]:
    """Of the fields that a file may have."""
    return frozenset(f.name for f in fields(cls)) - {"extra"}


_PARTS = "reason_parts"


def now() -> str:
    """The time as written in runs: ISO 8601, UTC, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def new_run_id(config: RunConfig) -> str:
    """`2026-11-24_resnet-56_short_s0_3f9a`: date, net, recipe, seed, short random id."""
    recipe = config.recipe.label if config.recipe else config.origin.to_json().get("kind", "run")
    parts = (
        config.created[:10],
        config.net.name,
        re.sub(r"[^\w.+-]", "", str(recipe)),
        f"s{config.seed}",
        secrets.token_hex(2),
    )
    return "_".join(parts)
