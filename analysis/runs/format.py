"""What config.json (written once) and status.json (replaced at every step worth telling) hold."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal, Self

from analysis import plan
from analysis.errors import LensError, RunDamaged
from analysis.spec import Compute, DataSpec, NetSpec, Recipe
from analysis.text import Message

FORMAT = 1

State = Literal["queued", "running", "finished", "cancelled", "failed", "interrupted"]
STATES = ("queued", "running", "finished", "cancelled", "failed", "interrupted")


@dataclass(frozen=True)
class ImagesInfo:
    """The images that a run saw, so that runs on different ones are never taken for comparable."""

    fingerprint: str
    """Hash of all pixels and labels, training and test (first 16 hex digits of SHA-256)."""
    n_train: int
    """Training images used."""
    n_test: int
    """Test images used."""
    classes: tuple[str, ...]
    """Class names in the order of the net's outputs."""
    size: int = 32
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
    origin: dict[str, Any] = field(default_factory=dict)
    """Where the first weights came from, unless from the initialisation: an import, a
    construction."""
    normalization: dict[str, Any] = field(default_factory=dict)
    """Of an imported net's input: name, mean and std; empty: our own, the mean in model file."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields of the file that this version does not know."""

    def to_json(self) -> dict[str, Any]:
        """As in config.json."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "extra"}
        for name, value in values.items():
            if hasattr(value, "__dataclass_fields__"):
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
        try:
            parsed: dict[str, Any] = {
                "net": NetSpec.from_dict(values["net"]),
                "recipe": _optional(Recipe, values.get("recipe")),
                "data": _optional(DataSpec, values.get("data")),
                "images": _images(values.get("images")),
                "compute": Compute.from_dict(values.get("compute") or {}),
                "seed": int(values["seed"]),
                "created": str(values["created"]),
            }
        except KeyError as error:
            raise RunDamaged("config.json has no field {error}", error=error) from error
        except (LensError, TypeError, ValueError, AttributeError) as error:
            raise RunDamaged("config.json: {error}", error=error) from error
        for name, kind in (("command", str), ("origin", dict), ("normalization", dict)):
            if name in values:
                if not isinstance(values[name], kind):
                    raise RunDamaged(
                        "config.json: {name} is {value!r}", name=name, value=values[name]
                    )
                parsed[name] = values[name]
        known = {*parsed, "format", "parameters", "multiply_adds"}
        return cls(**parsed, extra={k: v for k, v in values.items() if k not in known})


def _optional(kind, values):
    return None if values is None else kind.from_dict(values)


def _images(values: dict[str, Any] | None) -> ImagesInfo | None:
    if values is None:
        return None
    known = {f.name for f in fields(ImagesInfo)}
    return ImagesInfo(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known}  # ty: ignore[invalid-argument-type]
    )


@dataclass(frozen=True)
class RunStatus:
    """How far a run is; small, and replaced whole."""

    state: State
    epoch: int = 0
    """Complete epochs on disk."""
    iteration: int = 0
    """Updates up to there."""
    epochs_total: int = 0
    """Epochs that the recipe asks for."""
    step: int = 0
    """Updates done of the epoch under way."""
    steps_per_epoch: int = 0
    train_error: float | None = None
    """Running training error of the last complete epoch, percent."""
    train_error_clean: float | None = None
    """Training error on the clean training set at the end, percent."""
    test_error: float | None = None
    """Of the last complete epoch, percent."""
    queued_at: float | None = None
    """Its place in the queue, a number that only grows: the queue's order. None: it never was."""
    reason: Message = field(default_factory=Message)
    """Why it stopped, in words, unless it finished. The file holds it in English, and as text and
    values, so that it is read in any language."""
    pid: int | None = None
    pid_started: float | None = None
    """When that process began, seconds since 1970: a pid alone may be another's by now."""
    host: str = ""
    heartbeat: str = ""
    """When this was written, ISO 8601 in UTC."""
    started: str = ""
    ended: str = ""
    wall_seconds: float = 0.0
    """Time spent on it in all its sessions."""
    seconds_left: float | None = None
    """Estimate while it runs."""
    images_per_second: float | None = None
    memory_mb: float | None = None
    """Peak resident memory of the training process, MiB."""
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
        values = dict(values)
        reason = values.get("reason", "")
        if isinstance(reason, str):
            values["reason"] = Message.from_json(values.pop(_PARTS, None)) or Message(reason)
        known = {f.name for f in fields(cls)} - {"extra"}
        status = cls(
            **{k: v for k, v in values.items() if k in known},
            extra={k: v for k, v in values.items() if k not in known},
        )
        for name, (fits, wanted) in _STATUS_TYPES.items():
            if not fits(getattr(status, name)):
                raise RunDamaged(
                    "status.json: {name} is {value!r}, not {wanted}",
                    name=name,
                    value=getattr(status, name),
                    wanted=wanted,
                )
        return status

    def with_(self, **changes: Any) -> RunStatus:
        """A copy with changes and a fresh heartbeat."""
        return replace(self, **{"heartbeat": now(), **changes})


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def _is_number_or_none(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


_COUNTS = ("epoch", "iteration", "epochs_total", "step", "steps_per_epoch")
_NUMBERS = (
    "train_error", "train_error_clean", "test_error", "queued_at", "pid", "pid_started",
    "wall_seconds", "seconds_left", "images_per_second", "memory_mb",
)  # fmt: skip
_PARTS = "reason_parts"
_WHOLE, _NUMBER = Message("a whole number"), Message("a number")
_OBJECT, _TEXT = Message("an object"), Message("a text")
_STATUS_TYPES: dict[str, tuple[Callable[[object], bool], Message]] = {
    **dict.fromkeys(_COUNTS, (_is_count, _WHOLE)),
    **dict.fromkeys(_NUMBERS, (_is_number_or_none, _NUMBER)),
    **dict.fromkeys(("versions", "machine"), (lambda v: isinstance(v, dict), _OBJECT)),
    **dict.fromkeys(("started", "ended"), (lambda v: isinstance(v, str), _TEXT)),
    "reason": (lambda v: isinstance(v, Message), _TEXT),
}
"""What each field of a status must be, for the message if it is not."""


def now() -> str:
    """The time as written in runs: ISO 8601, UTC, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def new_run_id(config: RunConfig) -> str:
    """`2026-11-24_resnet-56_short_s0_3f9a`: date, net, recipe, seed, short random id."""
    recipe = config.recipe.label if config.recipe else config.origin.get("kind", "run")
    parts = (
        config.created[:10],
        config.net.name,
        re.sub(r"[^\w.+-]", "", str(recipe)),
        f"s{config.seed}",
        secrets.token_hex(2),
    )
    return "_".join(parts)
