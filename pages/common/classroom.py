"""One server for a class: `RESIDUAL_LENS_CLASSROOM=1 streamlit run app.py`.

Visitors look, and upload pictures; nothing they do lasts. There is no page that trains, imports,
deletes or writes; no place of the server's disk is shown or asked for; and each may upload and
compute only so much at a time. All of that is decided here; app.py and the panels ask.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from analysis import pictures
from analysis.errors import busy
from analysis.escape import without_paths
from analysis.runs import BUNDLED, default_folder
from analysis.specs.datasets import cache_folder
from analysis.specs.places import named_places
from analysis.text import _

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

SWITCH = "RESIDUAL_LENS_CLASSROOM"
PAGES: Final = ("compare", "refinements", "argument", "glossary", "about", "image")
"""By their addresses: those that only show."""
UPLOADS = 60
"""Pictures a session may upload: more than one a minute for a lecture."""
QUERIES = max(os.cpu_count() or 1, 2)
"""Questions to nets that are taken in at once, of all sessions; the others wait."""
PATIENCE = 8.0
"""Seconds that one waits before it is told to come back."""
_SESSIONS = 10_000
"""Of which the uploads are counted; the oldest are forgotten."""


def is_on() -> bool:
    """Whether this server is a class's."""
    return os.environ.get(SWITCH, "").strip().lower() not in ("", "0", "false", "no", "off")


def has(page: str) -> bool:
    """Whether this server has a page, by its address."""
    return page in PAGES or not is_on()


@dataclass(frozen=True)
class Limits:
    """Of uploaded pictures."""

    size: int = pictures.MAX_BYTES
    """Bytes of a file."""
    pixels: int = pictures.MAX_PIXELS
    files: int = pictures.MAX_FILES
    """Shown at once."""

    @property
    def mib(self) -> int:
        """What Streamlit lets pass: it counts in MiB, so a little more than is read."""
        return self.size // 10**6


CLASS = Limits(size=10_000_000, pixels=25_000_000, files=3)


def limits() -> Limits:
    """Those that hold now."""
    return CLASS if is_on() else Limits()


def public(text: object) -> str:
    """Text for visitors: in a classroom without places of the server's disk."""
    said = str(text)
    if not is_on():
        return said
    images = map(Path, named_places().values())
    folders = (default_folder(), BUNDLED, cache_folder(), *images, Path.cwd(), Path.home())
    known = {str(place) for folder in folders for place in (folder, folder.absolute())}
    for place in sorted(known, key=len, reverse=True):  # they may have blanks, which end a path
        if Path(place).is_absolute() and len(Path(place).parts) > 1:
            said = re.sub(re.escape(place) + r"(?:[/\\]|(?=\W)|$)", "", said)
    return without_paths(said)


_places = BoundedSemaphore(QUERIES)


@contextmanager  # ty: ignore[deprecated]
def at_work() -> Iterator[None]:
    """Ask nets; in a classroom where too many do already, say so and end this part.

    Also a decorator. Not to be used within itself.
    """
    if not is_on():
        yield
        return
    if not _places.acquire(timeout=PATIENCE):
        st.warning(str(busy()), icon=":material/hourglass_top:")
        st.button(_("Try again"), icon=":material/refresh:")
        st.stop()
    try:
        yield
    finally:
        _places.release()


_uploaded: OrderedDict[str, int] = OrderedDict()
"""Files that each session has sent."""


def may_upload() -> bool:
    """Whether this session may upload more; says so where it may not."""
    context = get_script_run_ctx(suppress_warning=True)
    sent = _uploaded.get(context.session_id, 0) if context else 0
    if not is_on() or sent < UPLOADS:
        return True
    words = _("You have uploaded {count} pictures, as many as one visitor may.")
    st.warning(words.format(count=sent), icon=":material/upload_file:")
    return False


class Doorkeeper:
    """ASGI middleware: refuses uploads that are too large or too many before they are read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass all on but such uploads."""
        refused = _refused(scope) if scope["type"] == "http" and is_on() else None
        if refused is None:
            await self.app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": refused, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def _refused(scope: Scope) -> int | None:
    """The status that an upload is refused with; None: it may pass."""
    *_before, kind, session, _file = ["", "", "", *str(scope["path"]).split("/")]
    if scope["method"] != "PUT" or kind != "upload_file":
        return None
    length = dict(scope["headers"]).get(b"content-length", b"")
    if not length.isdigit():
        return 411
    if int(length) > CLASS.mib * 2**20 + 10_000:  # the form around the file
        return 413
    sent = _uploaded.pop(session, 0)
    _uploaded[session] = sent + 1 if sent < UPLOADS else sent
    if len(_uploaded) > _SESSIONS:
        _uploaded.popitem(last=False)
    return 429 if sent >= UPLOADS else None
