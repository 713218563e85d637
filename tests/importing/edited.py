"""Files of torch.save with bytes of their pickle replaced."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import torch


def save_edited(value: Any, path: Path, old: bytes, new: bytes, legacy: bool) -> None:
    """torch.save in the zip or the legacy format, `old` in its pickle replaced by `new`."""
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not legacy)
    if legacy:
        assert old in buffer.getvalue()
        path.write_bytes(buffer.getvalue().replace(old, new))
        return
    with zipfile.ZipFile(buffer) as saved, zipfile.ZipFile(path, "w") as edited:
        for info in saved.infolist():
            data = saved.read(info)
            edited.writestr(
                info.filename, data.replace(old, new) if "pkl" in info.filename else data
            )
