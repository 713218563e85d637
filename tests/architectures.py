"""Makes analysis/foreign/architectures.json anew: `python -m tests.architectures` (minutes).

Every classifier of torchvision, and of timm those that have published weights, is built without
memory for its own. Of nets with the same tensors and the same modules (by `repr`) the first is
named; where modules differ, all are.
"""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from analysis.foreign import library

_FACTORIES = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full}


class _Unfilled(TorchFunctionMode):
    """Tensors without memory; not by `torch.device("meta")`, under which RegNets can't count."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
        kwargs = kwargs or {}
        if func in _FACTORIES:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def unfilled(name: str) -> nn.Module:
    """A net of the index, without numbers; timm's without a head where its weights have none."""
    classes = library.CLASSES
    if name.startswith("timm/"):
        import timm

        known = timm.get_pretrained_cfg(name.removeprefix("timm/"))
        classes = 0 if known is not None and known.num_classes == 0 else classes
    with _Unfilled():
        return library.Architecture(name, classes).build()


def names() -> Iterator[str]:
    """All of them, torchvision's first, short names first."""
    import timm
    from torchvision import models

    published = {name.partition(".")[0] for name in timm.list_models(pretrained=True)}
    for prefix, known in (("torchvision", models.list_models(models)), ("timm", published)):
        yield from (f"{prefix}/{name}" for name in sorted(known, key=lambda n: (len(n), n)))


def entry(net: nn.Module) -> tuple[str, tuple[str, ...], str, str]:
    """Digest of its keys, its head's keys, digest of its shapes, digest of its modules."""
    shapes = library.canonical(library.shapes_of(net.state_dict()))
    head = tuple(sorted(key for key, shape in shapes.items() if shape[:1] == (library.CLASSES,)))
    return (
        library.digest_of(sorted(shapes)), head,
        library.digest_of(library.without_classes(shapes, list(head))),
        hashlib.sha256(repr(net).encode()).hexdigest(),
    )  # fmt: skip


def main() -> None:
    """Write the index."""
    warnings.simplefilter("ignore")
    index: dict[str, list[dict[str, Any]]] = {}
    seen: set[tuple] = set()
    for count, name in enumerate(names()):
        if count % 50 == 0:
            print(count, name, flush=True)
        try:
            keys, head, shapes, modules = entry(unfilled(name))
        except Exception as error:  # anything: other people's code
            print(f"left out: {name}: {error!r}"[:160], file=sys.stderr)
            continue
        groups = index.setdefault(keys, [])
        group = next((one for one in groups if one["head"] == list(head)), None)
        if group is None:
            groups.append(group := {"head": list(head), "nets": {}})
        known = group["nets"].setdefault(shapes, [])
        alike = (keys, head, shapes, modules) in seen
        ours = name.startswith("torchvision") or not any(n.startswith("torchvision") for n in known)
        if ours and not alike:
            known.append(name)
        seen.add((keys, head, shapes, modules))
    lines = (f'"{keys}": {json.dumps(index[keys])}' for keys in sorted(index))
    library.INDEX.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
