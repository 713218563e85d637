"""A net's state dict under the names of another repository."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from torch import Tensor

from analysis.errors import SpecError
from analysis.exchange.importing.layouts import LAYOUTS, split_key, their_modules
from analysis.nets import Net
from analysis.specs import NetSpec
from analysis.text import Message

STYLES = ("torchvision", "akamaster", "kuangliu", "bearpaw")


def default_style(spec: NetSpec) -> str:
    """The style of a repository that has nets of this kind and family."""
    cifar = spec.family == "cifar"
    if spec.traits.preactivated:
        return "bearpaw" if cifar else "kuangliu"
    return "akamaster" if cifar else "torchvision"


def state_dict_in(net: Net, style: str) -> OrderedDict[str, Tensor]:
    """The net's tensors on the CPU under the names of `style`, in the order of the net.

    torchvision's own ResNets load it where they have the same layers: residual, option B, 7x7
    stem, bottlenecks with the stride in the 3x3 layer. akamaster's load CIFAR nets with option A.
    Of pre-activation nets with option B, bearpaw's preresnet loads the CIFAR nets whose projections
    take the raw input (`-raw`), kuangliu's PreActResNet the others without a last BN (`-nofinal`).

    Raises:
        SpecError: no such style.
    """
    if style not in STYLES:
        raise SpecError(
            "{style!r} is no style of state dicts; there are {styles}",
            style=style,
            styles=", ".join(STYLES),
        )
    theirs = their_modules(net.spec, LAYOUTS[style])
    return OrderedDict(
        (f"{theirs[path]}.{leaf}", value.detach().cpu().contiguous().clone())
        for key, value in net.state_dict().items()
        for path, leaf in (split_key(key),)
    )


def loads_in(spec: NetSpec, style: str, wrapped: bool = True) -> Message:
    """Which net of that repository takes it, in words; or why only an importer does.

    Args:
        spec: the net.
        style: of `STYLES`.
        wrapped: whether akamaster's state dict is in a checkpoint with `module.` before its keys,
            as torch.save's is; a .safetensors file holds the tensors alone.
    """
    none = Message("the repository has no such net; Residual Lens and your own code read the file")
    if spec.traits.preactivated or style in ("kuangliu", "bearpaw"):
        return _preactivated_in(spec, style) or none
    if style == "torchvision":
        if spec.family != "imagenet" or spec.width != 64 or spec.kind != "residual":
            return Message(
                "torchvision has no such net; Residual Lens and your own code read the file"
            )
        fits = spec.shortcut == "B" and (not spec.bottleneck or spec.bottleneck_stride == "3x3")
        if not fits:
            return Message(
                "torchvision's net has other shortcuts (option B) or strides (in the 3x3 layer); "
                "Residual Lens and your own code read the file"
            )
        name = f"torchvision.models.resnet{spec.depth}(num_classes={spec.classes})"
        if spec.stem == "imagenet":
            return Message("{net} loads it", net=name)
        return Message(
            "{net} loads it once its conv1 is 3x3 with stride 1 and its maxpool nn.Identity()",
            net=name,
        )
    akamasters = spec.family == "cifar" and spec.kind == "residual" and spec.zeros == "both"
    usual = akamasters and spec.shortcut in ("A", "B")
    if usual and not wrapped:
        return Message(
            "its resnet{depth}() loads what safetensors.torch.load_file gives", depth=spec.depth
        )
    if usual:
        return Message(
            "its resnet{depth}() in DataParallel loads checkpoint['state_dict']", depth=spec.depth
        )
    return none


_PREACTIVATED = {
    "bearpaw": NetSpec.parse("preresnet-20-B-raw"),
    "kuangliu": NetSpec.parse("preresnet-18-B-nofinal"),
}
"""The nets of these repositories, at one depth."""


def _preactivated_in(spec: NetSpec, style: str) -> Message | None:
    """bearpaw's nets of 44 layers and more have bottlenecks; kuangliu's bottlenecks are v1.5."""
    known = _PREACTIVATED.get(style)
    if known is None or spec.family != known.family:
        return None
    usual = replace(known, depth=spec.depth, classes=spec.classes)
    if spec.bottleneck:
        usual = replace(usual, bottleneck_stride="3x3")
    if spec != usual or (style == "bearpaw" and spec.depth >= 44):
        return None
    if style == "bearpaw":
        return Message("its preresnet(depth={depth}) loads it", depth=spec.depth)
    return Message("its PreActResNet{depth}() loads it", depth=spec.depth)
