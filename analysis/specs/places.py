"""Where images are on this machine, as somebody said once: for every run on them, in any session.

Kept in one file, in the user's folder of settings. What is named there was checked when it was
named (`analysis.data.placing`); whoever reads images checks them again. Torch-free.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import platformdirs

CONFIG_VARIABLE = "RESIDUAL_LENS_CONFIG"


def places_file() -> Path:
    """`images.json` in $RESIDUAL_LENS_CONFIG, or in the platform's folder of settings (on Linux
    ~/.config/residual-lens)."""
    chosen = os.environ.get(CONFIG_VARIABLE)
    if chosen:
        return Path(chosen).expanduser() / "images.json"
    return platformdirs.user_config_path("residual-lens", appauthor=False) / "images.json"


def named_places() -> dict[str, str]:
    """Folders by what is in them: a data set's name, or the fingerprint of a folder's images."""
    try:
        values = json.loads(places_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(values, dict):
        return {}
    return {key: place for key, place in values.items() if isinstance(place, str) and place}


def place_of(images: str) -> Path | None:
    """The folder of a data set's name or a fingerprint; None where nobody named one."""
    place = named_places().get(images)
    return Path(place) if place else None
