"""The image files of a folder with train/CLASS and test/CLASS: which count, which are left out.

As torchvision's ImageFolder, links to folders are followed (a circle of them once), and endings say
what is an image. What is left out is counted by kind, since nobody misses a file that is not said.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from analysis.errors import DataError
from analysis.escape import one_line as shown
from analysis.specs import NOT_CLASSES, class_folders
from analysis.specs.datasets import IMAGE_ENDINGS
from analysis.text import Listed, Message

LAYOUT = "train/CLASS/image.png and test/CLASS/image.png"
_UNREAD = (".gif", ".avif", ".jfif", ".heic", ".heif", ".svg", ".jp2", ".jxl", ".tga",
           ".raw", ".dng", ".npy")  # fmt: skip
"""Endings of images that are not read, besides which there may be notes and lists."""
_LITTER = ("thumbs.db", "desktop.ini", "ehthumbs.db")


@dataclass
class LeftOut:
    """What is in the class folders and is not taken, counted."""

    unread: Counter[str] = field(default_factory=Counter)
    """Images of other formats, by ending."""
    dangling: int = 0
    """Links to files that are not there, as of DVC and git-annex before they are fetched."""
    other: Counter[str] = field(default_factory=Counter)
    """Files that are no images, by ending."""
    loose: int = 0
    """Images beside the class folders, in none of them."""
    folders: Counter[str] = field(default_factory=Counter)
    """Folders of thumbnails and the like, by name."""

    def words(self) -> tuple[Message, ...]:
        """A sentence for each kind of thing that was left out; none where nothing was."""
        found = list(self.images())
        if self.folders:
            found.append(
                Message("left out: {counts}, not people's folders", counts=_counts(self.folders))
            )
        if self.other:
            words = "left out: {counts}, not images by their ending"
            found.append(Message(words, counts=_counts(self.other)))
        return tuple(found)

    def images(self) -> tuple[Message, ...]:
        """Of these, what was meant as images."""
        found = []
        if self.unread:
            found.append(
                Message(
                    "left out: {counts}, formats that are not read here; convert them to PNG or "
                    "JPEG",
                    counts=_counts(self.unread),
                )
            )
        if self.dangling:
            found.append(
                Message(
                    "left out: {count} links to files that are not there; fetch them first (dvc "
                    "pull, git annex get)",
                    count=self.dangling,
                )
            )
        if self.loose:
            words = "left out: {count} images beside the class folders, in none of them"
            found.append(Message(words, count=self.loose))
        return tuple(found)


def _counts(found: Counter[str], most: int = 6) -> Listed:
    words = [f"{count} {shown(name)}" for name, count in found.most_common(most)]
    return Listed((*words, "...") if len(found) > most else tuple(words))


@dataclass(frozen=True)
class Listing:
    """The image files of a folder, sorted, so that the file system's order does not matter."""

    root: Path
    classes: tuple[str, ...]
    """As the folders in train/ are called."""
    files: dict[str, list[tuple[str, int]]]
    """By split: path under the root and label."""
    stamp: str
    """Hash of all names, sizes and modification times."""
    left_out: tuple[Message, ...] = ()
    """What else is there, and why it is not taken."""


def list_folder(root: Path) -> Listing:
    """All images of a folder; a stat of each file, no more: 0.3 s for 60,000.

    Raises:
        DataError: it is not laid out so, its classes differ between the two, or something in it
            can't be read.
    """
    try:
        return _list(root)
    except OSError as error:
        raise DataError(
            "{folder} can't be read: {reason}",
            folder=shown(error.filename or root), reason=error.strerror or error,
        ) from error  # fmt: skip


def _list(root: Path) -> Listing:
    if not root.is_dir():
        if root.exists():
            words = Message("the image folder {root} is a file, not a folder", root=root)
        else:
            words = Message("the image folder {root} does not exist", root=root)
        raise DataError("{what}; it must hold {layout}", what=words, layout=LAYOUT)
    folders = {split: _by_class(root, split) for split in ("train", "test")}
    _check_classes(root, folders)
    stamp, left_out = hashlib.sha256(), LeftOut()
    files: dict[str, list[tuple[str, int]]] = {}
    for split, names in folders.items():
        files[split] = []
        _look_beside(root / split, left_out)
        for label, same in enumerate(folders["train"]):
            top = root / split / names[same]
            around = frozenset({os.path.realpath(top)})
            found = sorted(_scan(top, f"{split}/{names[same]}", around, left_out))
            stamp.update(repr(found).encode("utf-8", "surrogateescape"))
            files[split] += [(file, label) for file, _, _ in found]
    words = left_out.words()
    classes = tuple(folders["train"].values())
    _check_not_empty(root, classes, files, left_out.images())
    return Listing(root, classes, files, stamp.hexdigest()[:16], words)


def _by_class(root: Path, split: str) -> dict[str, str]:
    """The class folders of train/ or test/ by what they are compared by, in order of their names.

    That is the composed Unicode form: macOS and some archives decompose an umlaut into two
    characters, which look like the one.
    """
    try:
        names = class_folders(root / split)
    except (FileNotFoundError, NotADirectoryError) as error:
        there = ", ".join(sorted(e.name for e in root.iterdir())[:8]) or Message("nothing")
        raise DataError(
            "{root} has no folder {split}/ (it holds: {there}); it must hold {layout}",
            root=root,
            split=split,
            there=there,
            layout=LAYOUT,
        ) from error
    if not names:
        raise DataError(
            "{folder} has no class folders; {root} must hold {layout}",
            folder=root / split,
            root=root,
            layout=LAYOUT,
        )
    found: dict[str, str] = {}
    for name in names:
        if name.encode("utf-8", "replace").decode() != name:
            raise DataError(
                "the name of the class folder {folder} is not text in UTF-8; rename it",
                folder=shown(root / split / name),
            )
        same = unicodedata.normalize("NFC", name)
        if same in found:
            raise DataError(
                "{folder} has two class folders that are called {name}, once with composed and "
                "once with decomposed characters; put their images together",
                folder=root / split, name=same,
            )  # fmt: skip
        found[same] = name
    return found


def _look_beside(folder: Path, left_out: LeftOut) -> None:
    """Count what lies in train/ or test/ itself."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in NOT_CLASSES:
                left_out.folders[entry.name] += 1
            elif not entry.name.startswith(".") and entry.name.lower().endswith(IMAGE_ENDINGS):
                left_out.loose += entry.is_file()


def _scan(
    folder: Path, name: str, around: frozenset[str], left_out: LeftOut
) -> Iterator[tuple[str, int, int]]:
    """(name under the root, bytes, modification time in ns) of every image below a folder.

    `around` are the real places of the folders that it lies in: a link back to one is not followed.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            below = f"{name}/{entry.name}"
            if entry.name.startswith(".") or entry.name.lower() in _LITTER:
                continue
            ending = Path(entry.name).suffix.lower()
            if _is_link_to_nothing(entry):
                left_out.dangling += 1
            elif entry.is_dir():
                real = os.path.realpath(entry.path)
                if entry.name in NOT_CLASSES:
                    left_out.folders[entry.name] += 1
                elif real not in around:
                    yield from _scan(Path(entry.path), below, around | {real}, left_out)
            elif not entry.is_file():
                continue  # a pipe, a device
            elif ending in IMAGE_ENDINGS:
                stat = entry.stat()
                yield below, stat.st_size, stat.st_mtime_ns
            else:
                kind = left_out.unread if ending in _UNREAD else left_out.other
                kind[ending or entry.name] += 1


def _is_link_to_nothing(entry: os.DirEntry[str]) -> bool:
    """Whether it leads nowhere, or to itself."""
    if not entry.is_symlink():
        return False
    try:
        entry.stat()
    except OSError as error:
        if isinstance(error, PermissionError):
            raise
        return True
    return False


def _check_classes(root: Path, folders: dict[str, dict[str, str]]) -> None:
    train, test = set(folders["train"]), set(folders["test"])
    if train == test:
        return
    only = {"train": sorted(train - test), "test": sorted(test - train)}
    differences = [
        Message("only in {where}/: {names}", where=where, names=Listed(tuple(map(shown, names))))
        for where, names in only.items()
        if names
    ]
    differences += [
        Message("{one!r} and {other!r} look alike but differ {how}", one=one, other=other, how=how)
        for one in only["train"]
        for other in only["test"]
        if (how := _unseen_difference(one, other))
    ]
    raise DataError(
        "the classes of {root} differ between train/ and test/: {differences}; "
        "both must have the same class folders",
        root=root,
        differences=Listed(tuple(differences), "; "),
    )


def _unseen_difference(one: str, other: str) -> Message | None:
    """What tells two names apart that a reader takes for the same; None where that is seen."""
    if " ".join(one.split()) == " ".join(other.split()):
        return Message("in their blanks")
    odd = sorted(set(one) ^ set(other))
    names = Listed(tuple(f"U+{ord(c):04X} {unicodedata.name(c, '')}".strip() for c in odd[:4]))
    if _look(one) == _look(other):
        return Message("in characters that are not seen ({characters})", characters=names)
    if _look(one).casefold() == _look(other).casefold():
        return Message("in upper and lower case")
    if _look(one).translate(_LATIN) == _look(other).translate(_LATIN):
        return Message("in letters of other alphabets ({characters})", characters=names)
    return None


_LATIN = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0455\u0458\u03bf\u03bd"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0391\u0392\u0395"
    "\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a7",
    "aeopcyxisjov" "ABEKMHOPCTXABE" "HIKMNOPTX",
)  # fmt: skip
"""Cyrillic and Greek letters that look like Latin ones."""


def _look(name: str) -> str:
    """A name without what is not seen: compatibility forms, marks of direction, blanks."""
    plain = unicodedata.normalize("NFKC", name)
    return "".join(c for c in plain if unicodedata.category(c) not in ("Cc", "Cf", "Zs"))


def _check_not_empty(
    root: Path,
    classes: tuple[str, ...],
    files: dict[str, list[tuple[str, int]]],
    left_out: tuple[Message, ...],
) -> None:
    empty = []
    for split, listed in files.items():
        filled = {label for _, label in listed}
        empty += [f"{split}/{c}" for label, c in enumerate(classes) if label not in filled]
    if not empty:
        return
    error = DataError(
        "{root} has class folders with no images: {folders}; images are files "
        "that end in {endings}",
        root=root,
        folders=Listed(tuple(empty)),
        endings=Listed(IMAGE_ENDINGS),
    )
    if left_out:
        raise DataError("{what} ({left_out})", what=error, left_out=Listed(left_out, "; "))
    raise error
