"""Whether the files of a run are whole: read in full (`read_table`), or at a glance when listed.

`check_finished` sees what is lost in a run that calls itself finished, from the ends of its tables
and the header of its weights: a millisecond a run, whatever their size.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.errors import RunDamaged
from analysis.runs import files, tables
from analysis.runs.format import RunConfig, RunStatus
from analysis.runs.provenance import Constructed
from analysis.specs import NetSpec, plan

if TYPE_CHECKING:
    import pandas as pd

_TAIL = 4096
"""Bytes at the end of a table in which its last row is."""


def read_table(path: Path, table: str) -> pd.DataFrame:
    """A table of a run; empty where the file is absent. A torn last line is left out.

    Raises:
        RunDamaged: the file is not such a table.
    """
    import pandas as pd

    if not os.path.lexists(path):
        return tables.empty(table)
    text = files.read_text(path)
    whole = text[: text.rfind("\n") + 1]
    if not whole:
        return tables.empty(table)
    try:
        frame = pd.read_csv(StringIO(whole), low_memory=False)
    except (ValueError, OverflowError) as error:
        raise RunDamaged("{file} is not a table: {error}", file=path.name, error=error) from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise RunDamaged("{file} has rows that are longer than its header", file=path.name)
    return tables.conform(frame, table, path.name)


def check_finished(folder: Path | str, config: RunConfig, status: RunStatus) -> None:
    """Whether all that a finished run has is there.

    Args:
        folder: the run's.
        config: of the run.
        status: `finished`.

    Raises:
        RunDamaged: weights are missing, torn or another net's; a table ends before the status says.
    """
    if status.weights != "left out":
        _check_weights(f"{folder}{os.sep}{files.MODEL}", config.net)
    measured = config.recipe is not None or isinstance(config.origin, Constructed)
    if measured:
        rows = _check_end(folder, "history", status.epoch)
        if not status.epoch <= rows <= status.epoch + 1:  # a constructed net begins with epoch 0
            raise RunDamaged(
                "{file} has {rows} rows, but {status} says {epoch} epochs",
                file="history.csv", rows=rows, status=files.STATUS, epoch=status.epoch,
            )  # fmt: skip
    last, blocks = _last_orders(config.net)
    _check_end(folder, "responses", status.epoch, last, "measured" if measured else None)
    if os.path.exists(f"{folder}{os.sep}{files.table_file('refinement')}"):  # noqa: PTH110
        _check_end(folder, "refinement", status.epoch, blocks)


def _check_end(
    folder: Path | str, table: str, epoch: int, order: int = 0, source: str | None = None
) -> int:
    """Whether a table ends with the last layer or block of an epoch, of a source.

    Returns:
        The rows of `history`, of which there are few; of others any number.
    """
    file = f"{folder}{os.sep}{files.table_file(table)}"
    opened, size = files.open_regular(file)
    try:
        begin = files.read_up_to(opened, size if table == "history" else _TAIL)
        first, _end, tail = begin.partition(b"\n")
        header = first.decode().rstrip("\r").split(",")
        rows = tail.count(b"\n")
        if len(begin) < size:
            os.lseek(opened, max(size - _TAIL, len(first) + 1), os.SEEK_SET)
            tail = files.read_up_to(opened, _TAIL)
    except (OSError, ValueError) as error:
        raise files.unreadable(file, error) from error
    finally:
        os.close(opened)
    last = tail.decode(errors="replace").rstrip("\r\n").rpartition("\n")[2].split(",")
    row = dict(zip(header, last, strict=False))
    ends = tail.endswith(b"\n") and row.get("epoch") == str(epoch)
    place = row.get("order", "0")
    if not (ends and place.isdecimal() and len(place) < 10 and int(place) >= order):
        read_table(Path(file), table)  # which may know better what is wrong
        raise RunDamaged(
            "{file} does not end with epoch {epoch}, at which the run has finished",
            file=files.table_file(table), epoch=epoch,
        )  # fmt: skip
    if source and row.get("source") != source:
        raise RunDamaged("{file} has no measurement at its end", file=files.table_file(table))
    return rows


def _check_weights(path: str, net: NetSpec) -> None:
    """Whether the weights are whole and of this net, from the file's header."""
    try:
        file, size = files.open_regular(path)
    except RunDamaged:
        if os.path.lexists(path):
            raise
        raise RunDamaged(
            "{file} is missing, though the run has finished", file=files.MODEL
        ) from None
    try:
        found = _shapes_in(file, size)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RunDamaged("{file} is not whole: {error}", file=files.MODEL, error=error) from error
    finally:
        os.close(file)
    for name, shape in weight_shapes(net):
        if found.get(name) != shape:
            raise RunDamaged(
                "{file} is not of {net}: {tensor} is {found}, the net's is {wanted}",
                file=files.MODEL, net=net.name, tensor=name, wanted=shape,
                found=found.get(name, "missing"),
            )  # fmt: skip


def _shapes_in(file: int, size: int) -> dict[str, tuple[int, ...]]:
    """Shapes by the names of the tensors in a safetensors file, all of whose bytes are there.

    Raises ValueError and its like where the file is not whole. Loading them is left to the library.
    """
    length = int.from_bytes(files.read_up_to(file, 8), "little")
    if length > size - 8:
        raise ValueError("its header is cut off")
    found, end = _header(files.read_up_to(file, length))
    if end != size - 8 - length:
        raise ValueError(f"it should have {end + 8 + length} bytes, not {size}")
    return found


@lru_cache(maxsize=256)  # runs of one net have one header
def _header(text: bytes) -> tuple[dict[str, tuple[int, ...]], int]:
    """Shapes by name, and the bytes that the tensors take."""
    tensors = json.loads(text)
    tensors.pop("__metadata__", None)
    end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    return {name: tuple(entry["shape"]) for name, entry in tensors.items()}, end


@lru_cache(maxsize=256)
def weight_shapes(net: NetSpec) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Name and shape of every convolution's and the linear layer's weight."""
    shapes = []
    for layer in plan.layers(net):
        kernel = () if layer.role == "head" else (layer.kernel, layer.kernel)
        shapes.append((f"{layer.name}.weight", (layer.c_out, layer.c_in, *kernel)))
    return tuple(shapes)


@lru_cache(maxsize=256)
def _last_orders(net: NetSpec) -> tuple[int, int]:
    """Of the last layer with a response, and of the last block."""
    return max(layer.order for layer in plan.layers(net) if layer.bn), len(plan.blocks(net))
