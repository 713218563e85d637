"""What is trained, as values: a net, a recipe, a data set, and how it is computed.

Frozen dataclasses that validate themselves, print as a short name and parse from it, and turn
into plain dictionaries for `config.json`. They know nothing of torch, files or processes.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

from analysis.datasets import DATASETS, LARGEST, SMALLEST, DataSet, is_here
from analysis.errors import SpecError
from analysis.escape import visible
from analysis.text import Listed, Message

Kind = Literal["plain", "residual", "preresidual"]
Family = Literal["cifar", "imagenet"]
Shortcut = Literal["A", "B", "C"]


@dataclass(frozen=True)
class KindInfo:
    """What there is to know of a kind of net; whoever draws, picks or names nets reads it here."""

    prefix: str
    """Its nets' names begin with it: `resnet-56`."""
    proper: str
    """What stands in its place in figures of the paper's nets: `ResNet-56`."""
    title: Message
    """What it is called within a sentence."""
    palette: Literal["warm", "cool", "green"]
    """Which of the colour families of `figures.theme` is its own."""
    marker: Literal["open", "filled", "dotted"]
    """How markers of its nets are filled."""
    twin: Kind
    """The kind with the same layers that it is compared with: what Compare puts beside it."""
    shortcuts: tuple[Shortcut, ...] = ()
    """The options that its shortcuts take; none: it has no shortcuts."""
    preactivated: bool = False
    """Whether BN and ReLU stand before a convolution (He et al. 2016b), not after it."""

    @property
    def has_shortcuts(self) -> bool:
        """Whether its blocks have an x to add to F, so a refinement."""
        return bool(self.shortcuts)


KINDS: dict[Kind, KindInfo] = {
    "plain": KindInfo("plain", "plain", Message("plain"), "warm", "open", "residual"),
    "residual": KindInfo(
        "resnet", "ResNet", Message("residual"), "cool", "filled", "plain", ("A", "B", "C")
    ),
    "preresidual": KindInfo(
        "preresnet", "PreResNet", Message("pre-activation residual"), "green", "dotted", "residual",
        ("A", "B", "C"), preactivated=True,
    ),
}  # fmt: skip
"""Every kind of net, in the order of legends and pickers; a new kind is an entry here."""

IMAGENET_BLOCKS: dict[int, tuple[int, ...]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Blocks in each stage by depth, He et al. Table 1; 50 and deeper are bottlenecks."""

BOTTLENECK_DEPTHS = (50, 101, 152)
MAX_DEPTH = 2000
DEFAULT_WIDTH: dict[Family, int] = {"cifar": 16, "imagenet": 64}

_NAME = re.compile(
    rf"(?P<kind>{'|'.join(info.prefix for info in KINDS.values())})-(?P<depth>\d+)"
    r"(?P<cifar>-cifar)?(?:-w(?P<width>\d+))?(?:-(?P<shortcut>[ABCabc]))?(?P<after>-after)?"
    r"(?P<stem>-imagenet)?(?P<v15>-v1\.5)?(?P<raw>-raw)?(?P<nofinal>-nofinal)?"
)


def _is_cifar_depth(depth: int) -> bool:
    return depth >= 8 and (depth - 2) % 6 == 0


@dataclass(frozen=True)
class _Dictable:
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


@dataclass(frozen=True)
class NetSpec(_Dictable):
    """One net of the two families (He et al., Table 1 and section 4.2).

    Its name is `plain-34`, `resnet-56`, `resnet-34-w16`, `resnet-20-B`, `preresnet-110`; `parse`
    reads it back. Left out of a name are the defaults: the family's width, option A for two-layer
    blocks and option B for bottlenecks (as the paper trains them), 10 classes, the 3x3 stem.
    """

    kind: Kind
    """One of `KINDS`: `plain` (no shortcuts), `residual`, `preresidual`."""
    depth: int
    """Weighted layers on the main path: convolutions and the linear layer."""
    family: Family
    """`cifar`: depth 6n+2, three stages; `imagenet`: 18, 34, 50, 101, 152, four stages."""
    width: int
    """Filters of the first stage: 16 (cifar), 64 (imagenet), or fewer or more."""
    shortcut: Shortcut | None
    """A: zero-padding; B: projection where dimensions change; C: all projections; None: plain."""
    classes: int = 10
    """Outputs of the linear layer."""
    stem: Literal["cifar", "imagenet"] = "cifar"
    """`cifar`: 3x3, stride 1; `imagenet`: 7x7, stride 2 and a 3x3 max-pool (224-pixel inputs)."""
    bottleneck_stride: Literal["1x1", "3x3"] = "1x1"
    """Which layer of a bottleneck subsamples: the paper's 1x1, or torchvision's 3x3 ("v1.5")."""
    zeros: Literal["both", "after"] = "both"
    """Where option A's zeros go: half on each side of the channels (akamaster and most PyTorch
    repositories), or all after them (fb.resnet.torch). Name: `resnet-20-after`."""
    projection_input: Literal["activated", "raw"] = "activated"
    """What a pre-activation block projects: its input after the first BN and ReLU (He et al.
    2016b, kuangliu), or as it comes (bearpaw). Name: `preresnet-20-B-raw`."""
    final: Literal["bn", "none"] = "bn"
    """Whether a pre-activation net has a last BN and ReLU before the head (He et al. 2016b,
    bearpaw), or none (kuangliu). Name: `preresnet-18-B-nofinal`."""

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            name = f"{self.kind}-{self.depth}"
            raise SpecError("{net}: {problems}", net=name, problems=Listed(tuple(problems), "; "))

    def _problems(self) -> Iterator[Message]:
        if self.kind not in KINDS:
            yield Message(
                "kind must be {kinds}, not {kind!r}", kinds=" or ".join(KINDS), kind=self.kind
            )
            return
        if self.family not in DEFAULT_WIDTH:
            yield Message("family must be cifar or imagenet, not {family!r}", family=self.family)
        elif self.family == "cifar" and not _is_cifar_depth(self.depth):
            yield Message("depth must be 6n+2 (20, 32, 44, 56, 110, 1202) in the CIFAR family")
        elif self.family == "imagenet" and self.depth not in IMAGENET_BLOCKS:
            yield Message("depth must be 18, 34, 50, 101 or 152 in the ImageNet family")
        if not 0 < self.depth <= MAX_DEPTH:
            yield Message("depth must be at most {most}", most=MAX_DEPTH)
        if not 1 <= self.width <= 1024:
            yield Message(
                "width (filters of the first stage) must be 1 to 1024, not {width}",
                width=self.width,
            )
        if not 1 <= self.classes <= 100_000:
            yield Message("classes must be 1 to 100000, not {classes}", classes=self.classes)
        if not self.traits.has_shortcuts and self.shortcut is not None:
            yield Message("a plain net has no shortcuts, so no shortcut option")
        if self.traits.has_shortcuts and self.shortcut not in self.traits.shortcuts:
            yield Message("shortcut must be A, B or C, not {shortcut!r}", shortcut=self.shortcut)
        if self.stem == "imagenet" and self.family != "imagenet":
            yield Message("only the ImageNet family has the 7x7 stem")
        yield from self._variant_problems()

    def _variant_problems(self) -> Iterator[Message]:
        """What is wrong with the fields that most nets leave at their defaults."""
        choices = {"zeros": ("both", "after"), "projection_input": ("activated", "raw"),
                   "final": ("bn", "none")}  # fmt: skip
        for field, possible in choices.items():
            value = getattr(self, field)
            if value not in possible:
                yield Message(
                    "{field} must be {possible}, not {value!r}",
                    field=field,
                    possible=" or ".join(possible),
                    value=value,
                )
        if self.zeros != "both" and self.shortcut != "A":
            yield Message("only option A pads with zeros")
        if self.projection_input != "activated" and not (
            self.traits.preactivated and self.shortcut in ("B", "C")
        ):
            yield Message("only a pre-activation net with option B or C can project its raw input")
        if self.final != "bn" and not self.traits.preactivated:
            yield Message("only a pre-activation net can lack a last BN")

    @classmethod
    def parse(cls, name: str, classes: int = 10) -> NetSpec:
        """The net that a short name stands for.

        Raises:
            SpecError: not such a name; the message lists what is possible.
        """
        match = _NAME.fullmatch(name.strip())
        if match is None:
            raise SpecError(
                "{name!r} is not a net's name. Names look like plain-34, resnet-56, "
                "resnet-34-w16 (16 filters in the first stage), resnet-20-B (shortcut option B) or "
                "preresnet-110 (pre-activation). "
                "Depths: 20, 32, 44, 56, 110, 1202 or any 6n+2; 18, 34, 50, 101, 152.",
                name=name,
            )
        depth = int(match["depth"])
        if depth not in IMAGENET_BLOCKS and not (_is_cifar_depth(depth) and depth <= MAX_DEPTH):
            raise SpecError(
                "{name!r}: no net has depth {depth}. Depths are 6n+2 (20, 32, 44, 56, 110, 1202) "
                "or 18, 34, 50, 101, 152.",
                name=name,
                depth=depth,
            )
        family: Family = "imagenet" if depth in IMAGENET_BLOCKS and not match["cifar"] else "cifar"
        kind = next(kind for kind, info in KINDS.items() if info.prefix == match["kind"])
        option = match["shortcut"].upper() if match["shortcut"] else None
        if KINDS[kind].has_shortcuts and option is None:
            option = _default_shortcut(depth, family)
        return cls(
            kind=kind,
            depth=depth,
            family=family,
            width=int(match["width"] or DEFAULT_WIDTH[family]),
            shortcut=option,  # ty: ignore[invalid-argument-type]
            classes=classes,
            stem="imagenet" if match["stem"] else "cifar",
            bottleneck_stride="3x3" if match["v15"] else "1x1",
            zeros="after" if match["after"] else "both",
            projection_input="raw" if match["raw"] else "activated",
            final="none" if match["nofinal"] else "bn",
        )

    @property
    def name(self) -> str:
        """The short name, which `parse` turns back into this net (its classes apart)."""
        parts = [self.traits.prefix, str(self.depth)]
        if self.family == "cifar" and self.depth in IMAGENET_BLOCKS:
            parts.append("cifar")
        if self.width != DEFAULT_WIDTH[self.family]:
            parts.append(f"w{self.width}")
        if self.shortcut and self.shortcut != _default_shortcut(self.depth, self.family):
            parts.append(self.shortcut)
        suffixes = {
            "after": self.zeros == "after",
            "imagenet": self.stem == "imagenet",
            "v1.5": self.bottleneck_stride == "3x3",
            "raw": self.projection_input == "raw",
            "nofinal": self.final == "none",
        }
        parts += [suffix for suffix, there in suffixes.items() if there]
        return "-".join(parts)

    def __str__(self) -> str:
        return self.name

    @property
    def traits(self) -> KindInfo:
        """What there is to know of its kind."""
        return KINDS[self.kind]

    @property
    def bottleneck(self) -> bool:
        """Whether blocks are 1x1, 3x3, 1x1 (Fig. 5, right)."""
        return self.family == "imagenet" and self.depth in BOTTLENECK_DEPTHS

    @property
    def blocks(self) -> tuple[int, ...]:
        """Blocks in each stage."""
        if self.family == "imagenet":
            return IMAGENET_BLOCKS[self.depth]
        return ((self.depth - 2) // 6,) * 3

    @property
    def image_size(self) -> int:
        """The input's height and width in pixels that the stem is made for."""
        return 224 if self.stem == "imagenet" else 32

    def counterpart(self) -> NetSpec:
        """The net of the twin kind with the same layers: the plain net of a residual one."""
        return self.as_kind(self.traits.twin)

    def as_kind(self, kind: Kind) -> NetSpec:
        """The net of another kind with the same layers.

        The shortcut option stays where both have one; else it is the default. So do `zeros`; what
        only pre-activation nets vary in is at its default.
        """
        option = self.shortcut or _default_shortcut(self.depth, self.family)
        if not KINDS[kind].has_shortcuts:
            option = None
        return replace(
            self, kind=kind, shortcut=option, zeros=self.zeros if option == "A" else "both",
            projection_input="activated", final="bn",
        )  # fmt: skip


def _default_shortcut(depth: int, family: Family) -> Shortcut:
    return "B" if family == "imagenet" and depth in BOTTLENECK_DEPTHS else "A"


@dataclass(frozen=True)
class Length:
    """A recipe's length on a data set of a certain size."""

    steps_per_epoch: int
    """Updates in a whole epoch; the last batch may be smaller."""
    iterations: int
    """Updates in all."""

    @property
    def epochs(self) -> int:
        """Epochs in all; with the paper's 64k iterations the last one is not whole."""
        return math.ceil(self.iterations / self.steps_per_epoch)

    def steps_in(self, epoch: int) -> int:
        """Updates in an epoch, counted from 0."""
        return min(self.steps_per_epoch, self.iterations - epoch * self.steps_per_epoch)


_FITTED = ("warmup_until", "flip")
"""Fields of a recipe that `recipe_for` sets by net and data, so they are no change of recipe."""


@dataclass(frozen=True)
class Recipe(_Dictable):
    """How a net is trained: optimiser, schedule, augmentation (section 4.2)."""

    name: str
    """The preset it started from: `paper`, `short`, `quick`."""
    epochs: int | None
    """Passes over the training images; None when `iterations` says when to stop."""
    iterations: int | None = None
    """Optimiser updates after which to stop; None when `epochs` says it."""
    lr: float = 0.1
    """Learning rate at its highest."""
    schedule: Literal["steps", "cosine"] = "cosine"
    """`steps`: divided by 10 at each milestone; `cosine`: one half-cycle down to zero."""
    milestones: tuple[int, ...] = ()
    """Iterations at which `steps` divides by 10."""
    warmup_epochs: float = 0.0
    """Epochs in which a cosine schedule rises linearly to `lr`."""
    warmup_until: float | None = None
    """Train at lr/10 until the running training error (percent) is below this; the paper: 80 for
    ResNet-110."""
    momentum: float = 0.9
    """Of SGD."""
    weight_decay: float = 1e-4
    """On all parameters, as in the paper."""
    batch_size: int = 128
    """Images an update, over all devices."""
    augment: bool = True
    """4-pixel padding, random 32x32 crop, horizontal flip."""
    flip: bool = True
    """Whether augmentation mirrors; digits are not mirrored."""
    train_images: int | None = None
    """Train on a fixed, class-balanced subset of this many; None: all."""
    test_images: int | None = None
    """Test on a fixed, class-balanced subset of this many; None: all."""
    validation: int = 0
    """Training images held out for a validation error: 5000 in the paper's 45k/5k split."""

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            listed = Listed(tuple(problems), "; ")
            raise SpecError("recipe {name}: {problems}", name=self.name, problems=listed)

    def _problems(self) -> Iterator[Message]:
        if (self.epochs is None) == (self.iterations is None):
            yield Message("give either epochs or iterations")
        for field in ("epochs", "iterations", "batch_size", "train_images", "test_images"):
            value = getattr(self, field)
            if value is not None and value < 1:
                yield Message("{field} must be at least 1, not {value}", field=field, value=value)
        if not 0 < self.lr <= 100:
            yield Message("lr must be above 0 and at most 100, not {lr}", lr=self.lr)
        if not 0 <= self.momentum < 1:
            yield Message(
                "momentum must be from 0 to below 1, not {momentum}", momentum=self.momentum
            )
        if not 0 <= self.weight_decay < 1:
            yield Message(
                "weight_decay must be from 0 to below 1, not {decay}", decay=self.weight_decay
            )
        if self.schedule not in ("steps", "cosine"):
            yield Message(
                "schedule must be steps or cosine, not {schedule!r}", schedule=self.schedule
            )
        if self.validation < 0:
            yield Message(
                "validation must be 0 or more images, not {images}", images=self.validation
            )
        if self.warmup_epochs < 0:
            yield Message(
                "warmup_epochs must be 0 or more, not {epochs}", epochs=self.warmup_epochs
            )

    @classmethod
    def parse(cls, name: str, **changes: Any) -> Recipe:
        """A preset with changes: `Recipe.parse("short", epochs=8)`.

        Raises:
            SpecError: no such preset, or a change that makes no sense.
        """
        if name not in RECIPES:
            raise SpecError(
                "{name!r} is not a recipe; there are {recipes}",
                name=name,
                recipes=", ".join(RECIPES),
            )
        if changes.get("epochs") is not None:
            changes.setdefault("iterations", None)
        return replace(RECIPES[name], **changes)

    def length(self, n_train: int) -> Length:
        """How long it trains on this many training images, in epochs and updates."""
        steps = math.ceil(n_train / self.batch_size)
        return Length(steps, self.iterations or (self.epochs or 0) * steps)

    @property
    def label(self) -> str:
        """`short`, `short-e8` for 8 epochs of it, `short-wd0.0001` for that weight decay.

        A `+` stands for anything else that was changed.
        """
        preset = RECIPES.get(self.name)
        label = self.name
        if preset is None or self == preset:
            return label
        if (self.epochs, self.iterations) != (preset.epochs, preset.iterations):
            label += f"-e{self.epochs}" if self.epochs else f"-i{self.iterations}"
        if self.weight_decay != preset.weight_decay:
            label += f"-wd{self.weight_decay:g}"
        said = ("epochs", "iterations", "weight_decay", *_FITTED)
        rest = replace(self, **{name: getattr(preset, name) for name in said})
        return label if rest == preset else label + "+"

    def __str__(self) -> str:
        return self.label


RECIPES: dict[str, Recipe] = {
    "paper": Recipe(
        "paper", epochs=None, iterations=64_000, schedule="steps", milestones=(32_000, 48_000)
    ),
    "short": Recipe("short", epochs=30, warmup_epochs=1.0, weight_decay=5e-4),
    "quick": Recipe(
        "quick", epochs=8, warmup_epochs=1.0, batch_size=64, train_images=2560, test_images=1000
    ),
}
"""`paper` is section 4.2's; `short` one cosine cycle for a laptop; `quick` takes about a minute."""


def recipe_for(name: str, net: NetSpec, data: DataSpec, **changes: Any) -> Recipe:
    """A preset fitted to a net and its data: what the paper does for some and not for others.

    ResNet-110 and deeper warm up at lr/10 until the training error is below 80 % (section 4.2,
    recipe `paper`); digits are not mirrored. Raises SpecError as `Recipe.parse`.
    """
    if name == "paper" and net.depth >= 110 and net.family == "cifar":
        changes.setdefault("warmup_until", 80.0)
    if data.known and not data.known.mirrored:
        changes.setdefault("flip", False)
    return Recipe.parse(name, **changes)


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
class DataSpec(_Dictable):
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


@dataclass(frozen=True)
class Compute(_Dictable):
    """How it is computed: what is trained stays the same, the last bits may differ."""

    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps`."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the convolutions; weights and BN statistics stay float32."""
    compile: bool | None = None
    """torch.compile; None: where it was measured to help."""
    channels_last: bool | None = None
    """Memory layout NHWC; None: where it was measured to help."""
    threads: int | None = None
    """CPU threads; None: all."""
    cuda_graph: bool | None = None
    """Record an update as a CUDA graph; None: on one NVIDIA GPU, unless compiled."""
    keep_weights: bool = False
    """Keep the weights of every epoch, not the last ones alone."""

    def __post_init__(self) -> None:
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise SpecError(
                "precision must be auto, float32 or bfloat16, not {precision!r}",
                precision=self.precision,
            )
        if self.threads is not None and self.threads < 1:
            raise SpecError("threads must be at least 1, not {threads}", threads=self.threads)


REFERENCE = Compute("cpu", "float32", compile=False, channels_last=False)
"""The plain reference that every fast path is tested against: float32, eager, NCHW."""
