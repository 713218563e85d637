"""Where a run's first weights came from: parsed here once, matched everywhere else.

`config.origin` is `Scratch`, `Imported`, `Constructed`, `Continued` or, from a newer version,
`Unknown`, which is kept and shown as it stands. config.json holds it as an object with a `kind`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from analysis.errors import RunDamaged, SpecError
from analysis.escape import one_line
from analysis.runs.fields import Count, Percent, check, check_fields
from analysis.specs import NetSpec, Recipe
from analysis.text import Message

FILE = "config.json"


@dataclass(frozen=True)
class Scratch:
    """The initialisation, by the run's seed."""

    def to_json(self) -> dict[str, Any]:
        """As in config.json."""
        return {}


SCRATCH = Scratch()


@dataclass(frozen=True)
class Imported:
    """A foreign checkpoint."""

    file: str = ""
    bytes: Count = 0
    sha256: str = ""
    format: str = ""
    layout: str = ""
    """Whose names its keys are."""
    weights: str = ""
    """Which of several sets of weights in the file was taken."""
    tensors_used: Count = 0
    unused: tuple[str, ...] = ()
    claimed_error: float | None = None
    """What the file says of itself, percent."""
    claimed_by: str | None = None
    measured_error: Percent | None = None
    measured_images: Count = 0
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields of the file that this version does not know."""

    def to_json(self) -> dict[str, Any]:
        """As in config.json."""
        return {"kind": "import", **_plain(self)}


@dataclass(frozen=True)
class Errors:
    """Of the shallower net, measured beside the constructed one, percent."""

    train: Percent
    test: Percent


@dataclass(frozen=True)
class Constructed:
    """A deeper net that computes what a shallower one does (section 1)."""

    run: str
    """The id of the shallower net's run."""
    net: str
    """Its short name."""
    calibrated: bool = True
    """Whether the inserted BN layers were set from training images."""
    recipe: Recipe | None = None
    """By which its weights were found; None: it is not known."""
    errors: Errors | None = None
    """Once they are measured."""
    place: str = ""
    """Where the shallower net's run is, until the net is made."""
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As in config.json."""
        values = _plain(self)
        kept = {"kind": "construction", "from": values.pop("run"), **values}
        optional = [name for name in ("recipe", "errors", "place") if not kept[name]]
        return {name: value for name, value in kept.items() if name not in optional}


@dataclass(frozen=True)
class Continued:
    """A constructed net that is trained on."""

    start: Constructed
    """The net as it was made."""
    built: str
    """The id of its run."""

    def to_json(self) -> dict[str, Any]:
        """As in config.json."""
        return {**self.start.to_json(), "built": self.built}


@dataclass(frozen=True)
class Unknown:
    """Of a kind that this version does not know."""

    kind: str
    values: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it was read."""
        return self.values


Provenance = Scratch | Imported | Constructed | Continued | Unknown


def parse(values: dict[str, Any]) -> Provenance:
    """The provenance that an object of config.json describes.

    Raises:
        RunDamaged: a field is missing or is not of its type.
    """
    if not values:
        return Scratch()
    kind = values.get("kind", "unknown")
    check(kind, str, FILE, "origin.kind")
    if kind == "import":
        return Imported(**_known(Imported, values))
    if kind != "construction":
        return Unknown(kind, values)
    built = values.get("built") or ""
    check(built, str, FILE, "origin.built")
    start = _constructed({name: value for name, value in values.items() if name != "built"})
    return Continued(start, built) if built else start


def _constructed(values: dict[str, Any]) -> Constructed:
    kept = {name: value for name, value in values.items() if name != "from"}
    known = _known(Constructed, {"net": "", **kept, "run": values.get("from") or ""})
    parts: dict[str, Any] = {}
    try:
        for name, part in (("recipe", Recipe), ("errors", Errors)):
            held = known.get(name) or None
            if held is not None:
                check_fields(part, held, FILE, f"origin.{name}")
                parts[name] = Recipe.from_dict(held) if part is Recipe else Errors(**held)
            else:
                parts[name] = None
    except (SpecError, TypeError) as error:
        raise RunDamaged("{file}: {error}", file=FILE, error=error) from error
    _check_net(known["net"])
    return Constructed(**{**known, **parts})


def _check_net(name: str) -> None:
    try:
        NetSpec.parse(name)
    except ValueError as error:
        raise RunDamaged(
            "{file}: {name} is {value}, not {wanted}",
            file=FILE, name="origin.net", value=one_line(repr(name), 60),
            wanted=Message("a net's short name, such as plain-20"),
        ) from error  # fmt: skip


def _known(cls: Any, values: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a class that the file's values are, the unknown ones as `extra`."""
    values = {n: v for n, v in values.items() if n not in ("kind", "extra")}
    check_fields(cls, values, FILE, "origin")
    known = {f.name for f in fields(cls)}
    given = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items() if n in known}
    return {**given, "extra": {n: v for n, v in values.items() if n not in known}}


def _plain(origin: Any) -> dict[str, Any]:
    values = asdict(replace(origin, extra={}))
    return {**{n: v for n, v in values.items() if n != "extra"}, **origin.extra}


def constructed(origin: Provenance) -> Constructed | None:
    """The construction that a run began with, trained on or not; None where it began otherwise."""
    match origin:
        case Constructed():
            return origin
        case Continued(start=start):
            return start
        case _:
            return None
