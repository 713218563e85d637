"""Which images, as a value."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.errors import SpecError
from analysis.escape import visible
from analysis.specs.base import Dictable
from analysis.specs.datasets import DATASETS, LARGEST, SMALLEST, DataSet, is_here
from analysis.specs.places import place_of


def _expanded(path: str) -> Path:
    """With ~ and ~user as the user's home folder, where there is one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user
        return Path(path)


def visible_in_files(name: str) -> str:
    """A name as UTF-8 says it; another one where it is not text."""
    return name.encode("utf-8", "replace").decode("utf-8")


NOT_CLASSES = ("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "__MACOSX",
               "lost+found")  # fmt: skip
"""Folders that network drives and systems put beside those of people; so do hidden ones."""


def class_folders(split: Path) -> list[str]:
    """The names of the class folders in train/ or test/, sorted; raises OSError."""
    with os.scandir(split) as entries:
        return sorted(
            entry.name
            for entry in entries
            if not entry.name.startswith(".") and entry.name not in NOT_CLASSES and entry.is_dir()
        )


@dataclass(frozen=True)
class DataSpec(Dictable):
    """Which images: `cifar10`, `cifar100`, `digits` or `folder:PATH`."""

    name: str
    """A name in `DATASETS`, or `folder`."""
    path: str | None = None
    """For `folder`: the directory that holds train/ and test/, each with a folder a class."""
    title: str = ""
    """What figures call it; by default the data set's or the folder's name."""
    resize: int | None = None
    """Resize a folder's images to this height and width; None: a wrong size is an error."""

    def __post_init__(self) -> None:
        if self.name not in (*DATASETS, "folder"):
            raise SpecError(
                "{name!r} is not a data set; there are {names} and folder:PATH",
                name=self.name,
                names=", ".join(DATASETS),
            )
        if (self.name == "folder") != bool(self.path):
            raise SpecError("write folder:PATH, with the directory that holds train/ and test/")
        for what in (self.path, self.title):
            if what and what != visible_in_files(what):
                raise SpecError(
                    "{name}: this name is not text in UTF-8, so no file could say it; rename it, "
                    "for instance with convmv",
                    name=visible(what),
                )
        if self.resize is not None and not SMALLEST <= self.resize <= LARGEST:
            raise SpecError(
                "resize must be {least} to {most} pixels, not {resize}",
                least=SMALLEST,
                most=LARGEST,
                resize=self.resize,
            )
        if not self.title:
            known = self.known
            title = known.title if known else Path(str(self.path)).name
            object.__setattr__(self, "title", title)

    @classmethod
    def parse(cls, text: str, title: str = "", resize: int | None = None) -> DataSpec:
        """`cifar10`, `cifar100`, `digits` or `folder:PATH`.

        Raises:
            SpecError: none of these.
        """
        name, colon, path = text.partition(":")
        resolved = str(_expanded(path).absolute()) if colon and path else None
        return cls(name, resolved, title, resize)

    @property
    def known(self) -> DataSet | None:
        """Its entry in `DATASETS`; None for a folder."""
        return DATASETS.get(self.name)

    @property
    def is_at_hand(self) -> bool:
        """Whether the images are on this machine, so that nothing would be downloaded."""
        if self.known:
            return is_here(self.name)
        try:
            return all((Path(str(self.path)) / split).is_dir() for split in ("train", "test"))
        except OSError:  # a folder on the way can't be entered
            return False

    def on_this_machine(self, fingerprint: str) -> DataSpec:
        """The same images where they are here: in the folder that was named for this fingerprint,
        while it holds images; else as it stands."""
        place = None if self.known else place_of(fingerprint)
        if place is None:
            return self
        moved = replace(self, path=str(place))
        return moved if moved.is_at_hand else self

    def count_classes(self) -> int:
        """How many classes it has, looking no further than the names of a folder's folders.

        Raises:
            SpecError: the folder has no train/ with a folder a class.
        """
        if self.known:
            return self.known.classes
        train = Path(str(self.path)) / "train"
        try:
            found = class_folders(train) if train.is_dir() else []
        except OSError as error:
            raise SpecError(
                "{data}: {folder} can't be read: {reason}",
                data=self, folder=error.filename or train, reason=error.strerror,
            ) from error  # fmt: skip
        for name in found:
            if name != visible_in_files(name):
                raise SpecError(
                    "{data}: the name of the class folder {name} is not text in UTF-8, so no file "
                    "could say it; rename it",
                    data=self, name=visible(name),
                )  # fmt: skip
        if not found:
            raise SpecError(
                "{data}: there is no {train} with a folder of images for each class; name the "
                "directory that holds train/ and test/",
                data=self,
                train=train,
            )
        return len(found)

    def __str__(self) -> str:
        return f"folder:{self.path}" if self.name == "folder" else self.name
