"""One net of the two families as a value, and the table of its kinds."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from analysis.errors import SpecError
from analysis.specs.base import Dictable
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
class NetSpec(Dictable):
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

    @functools.cached_property
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
        return _as_kind(self, kind)


@functools.lru_cache(maxsize=1024)  # asked of every run by the pages
def _as_kind(net: NetSpec, kind: Kind) -> NetSpec:
    option = net.shortcut or _default_shortcut(net.depth, net.family)
    if not KINDS[kind].has_shortcuts:
        option = None
    return replace(
        net, kind=kind, shortcut=option, zeros=net.zeros if option == "A" else "both",
        projection_input="activated", final="bn",
    )  # fmt: skip


def _default_shortcut(depth: int, family: Family) -> Shortcut:
    return "B" if family == "imagenet" and depth in BOTTLENECK_DEPTHS else "A"
