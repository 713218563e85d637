"""A session without a browser: what a tab asks of the server and is sent, and nothing is drawn.

Thirty browsers on the server's own cores would measure themselves; students bring theirs along. The
messages are Streamlit's own protocol buffers over its websocket, as a tab of the same version has
them: states of the widgets that were used, hashes of the messages that it keeps, uploads by PUT.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import requests
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

from tests.browser.serve import PATIENCE

XSRF = "_streamlit_xsrf"
DRAWN = "residual_lens_drawn"
"""The component that tells the page that its first figure is drawn; here it is so at once."""


class Refused(RuntimeError):
    """The page showed an exception, lacks a widget, or the server did not answer in time."""


class Visitor:
    """One session; see `visit`."""

    def __init__(self, address: str, socket: Any, token: str) -> None:
        self._address, self._socket, self._token = address, socket, token
        self.elements: dict[tuple[int, ...], tuple[Element, str]] = {}
        """By their places on the page, with the id of the fragment that drew each."""
        self._states: dict[str, WidgetState] = {}
        self._kept: dict[str, ForwardMsg] = {}
        self._session = self._page = self._query = ""
        self._draws = True
        self.received = 0
        """Bytes, before compression."""

    async def open(self, page: str, query: str = "", draws: bool = True) -> None:
        """A page by its address, in this session.

        Args:
            page: its address.
            query: what stands behind a question mark in it.
            draws: whether a first figure that the page waits for is drawn; else it ends there.
        """
        self._query, self._states, self._draws = query, {}, draws
        await self._run(page_name=page)

    async def press(self, label: str) -> None:
        """A button, or one of a row of buttons, by what is on it."""
        for element, fragment in self.elements.values():
            kind = element.WhichOneof("type")
            if kind == "button" and element.button.label == label:
                state = WidgetState(id=element.button.id, trigger_value=True)
                return await self._run(fragment, state)
            if kind == "button_group":
                group = element.button_group
                if label in (option.content for option in group.options):
                    state = WidgetState(id=group.id)
                    state.string_array_value.data.append(label)
                    return await self._run(fragment, state)
        raise Refused(f"there is no {label!r} on the page")

    async def upload(self, name: str, data: bytes, kind: str = "image/png") -> None:
        """A file into the page's first uploader, in place of those before."""
        found = [(element, fragment) for element, fragment in self.elements.values()
                 if element.WhichOneof("type") == "file_uploader"]  # fmt: skip
        if not found:
            raise Refused("there is nowhere to upload to")
        ask = BackMsg()
        ask.file_urls_request.request_id = name
        ask.file_urls_request.file_names.append(name)
        ask.file_urls_request.session_id = self._session
        await self._socket.send(ask.SerializeToString())
        while (answer := await self._next()).WhichOneof("type") != "file_urls_response":
            pass
        urls = answer.file_urls_response.file_urls[0]
        sent = await asyncio.to_thread(
            requests.put, self._address + urls.upload_url, files={"file": (name, data, kind)},
            headers={"X-Xsrftoken": self._token}, cookies={XSRF: self._token}, timeout=60,
        )  # fmt: skip
        if not sent.ok:
            raise Refused(f"{name} was refused with {sent.status_code}")
        element, fragment = found[0]
        state = WidgetState(id=element.file_uploader.id)
        state.file_uploader_state_value.uploaded_file_info.add(
            name=name, size=len(data), file_id=urls.file_id, file_urls=urls
        )
        await self._run(fragment, state)

    def shows(self, text: str) -> bool:
        """Whether a warning or another text of the page has it."""
        kinds = {"alert", "markdown"}
        return any(
            text in getattr(element, kind).body
            for element, _fragment in self.elements.values()
            if (kind := element.WhichOneof("type")) in kinds
        )

    async def _run(self, fragment: str = "", *states: WidgetState, page_name: str = "") -> None:
        """Have the page run, and again where it waits for its first figure to be drawn."""
        self._states |= {state.id: state for state in states}
        message = BackMsg()
        asked = message.rerun_script
        asked.query_string, asked.fragment_id = self._query, fragment
        asked.page_name, asked.page_script_hash = page_name, "" if page_name else self._page
        asked.widget_states.widgets.extend(self._states.values())
        asked.cached_message_hashes.extend(self._kept)
        asked.context_info.locale, asked.context_info.timezone = "en-US", "UTC"
        asked.context_info.url = f"{self._address}/{page_name}"
        await self._socket.send(message.SerializeToString())
        for state in states:
            if state.WhichOneof("value") == "trigger_value":
                del self._states[state.id]
        await self._until_it_ends()
        for element, within in list(self.elements.values()) if self._draws else ():
            part = element.bidi_component
            if part.component_name.endswith(DRAWN) and part.id not in self._states:
                state = WidgetState(id=part.id, json_value=json.dumps({"drawn": True}))
                await self._run(within, state)

    async def _until_it_ends(self) -> None:
        early = ForwardMsg.FINISHED_EARLY_FOR_RERUN
        while True:
            message = await self._next()
            ended = message.WhichOneof("type") == "script_finished"
            if ended and message.script_finished != early:
                break
        for element, _fragment in self.elements.values():
            if element.WhichOneof("type") == "exception":
                raise Refused(f"{element.exception.type}: {element.exception.message}")

    async def _next(self) -> ForwardMsg:
        data = await asyncio.wait_for(self._socket.recv(), PATIENCE / 1000)
        self.received += len(data)
        message = ForwardMsg.FromString(data)
        if message.WhichOneof("type") == "ref_hash":
            kept = ForwardMsg()
            kept.CopyFrom(self._kept[message.ref_hash])
            kept.metadata.CopyFrom(message.metadata)
            message = kept
        elif message.metadata.cacheable:
            self._kept[message.hash] = message
        self._take(message)
        return message

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._session = message.new_session.initialize.session_id
            again = set(message.metadata.run.fragment_ids)
            self.elements = {
                path: (element, fragment)
                for path, (element, fragment) in self.elements.items()
                if again and fragment not in again
            }
        elif kind == "navigation":
            self._page = message.navigation.page_script_hash
        elif kind == "page_info_changed":
            self._query = message.page_info_changed.query_string
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            path = tuple(message.metadata.delta_path)
            self.elements[path] = (message.delta.new_element, message.delta.fragment_id)


@asynccontextmanager
async def visit(address: str) -> AsyncGenerator[Visitor]:
    """A new session of the server at `http://...`."""
    health = await asyncio.to_thread(requests.get, f"{address}/_stcore/health", timeout=60)
    token = health.cookies.get(XSRF, "")
    stream = address.replace("http", "ws", 1) + "/_stcore/stream"
    protocols = [websockets.Subprotocol("streamlit")]
    async with websockets.connect(
        stream, subprotocols=protocols, max_size=None, ping_timeout=None
    ) as socket:
        yield Visitor(address, socket, token)
