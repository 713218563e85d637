"""To and from plain dictionaries, as config.json has them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from analysis.errors import SpecError


@dataclass(frozen=True)
class Dictable:
    """To and from plain dictionaries; unknown keys are ignored, so that newer files still open."""

    def to_dict(self) -> dict[str, Any]:
        """All fields, as JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The object that `to_dict` described.

        Raises:
            SpecError: a field is missing or has a value that makes no sense.
        """
        known = {f.name for f in fields(cls)}
        kept = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known}
        try:
            return cls(**kept)
        except TypeError as error:
            raise SpecError(
                "{what}: {error}; the fields are {known}",
                what=cls.__name__,
                error=error,
                known=sorted(known),
            ) from error
