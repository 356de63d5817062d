# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A small web server for one page: its files, its state, its pictures, and what is clicked on it.

Any number of browsers may show the page: all of them ask for the state again and again, so they agree, and none of
them holds anything that is lost when it is closed. It listens on this machine only, and takes clicks only from its
own pages: another site open in the same browser can neither read nor press anything.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from ament_index_python.packages import get_package_share_directory

from serl_core.errors import SerlError

OWN_HEADER = "X-Serl"
"""Every click carries it. A browser lets a page of another site send it only after asking us, and we do not agree."""

LARGEST_CLICK_BYTES = 1_000_000

_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css"}


class Desk(Protocol):
    """What a page shows and does. Its methods are called from several threads."""

    page: str
    """Name of the page's HTML file."""

    def state(self) -> Mapping[str, Any]:
        """Return what the page shows, as JSON knows it."""

    def picture(self, path: str) -> bytes | None:
        """Return a PNG by its path below /picture/; None if there is no such picture."""

    def click(self, what: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what was clicked and return the new state; ConfigError, told to the person, if it cannot be done."""


@dataclass(frozen=True)
class _Reply:
    status: HTTPStatus
    kind: str
    body: bytes
    cached: bool = False


class PageServer:
    """Serves one desk in threads of its own, from construction to `close`.

    Args:
        desk: What is shown.
        port: TCP port; 0: any free one. SerlError if it is taken.
    """

    def __init__(self, desk: Desk, port: int = 0) -> None:
        self._files = Path(get_package_share_directory("serl_bringup")) / "page"
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(desk, self._files))
        except OSError as error:
            raise SerlError(
                f"port {port} cannot be opened ({error.strerror}): choose another --port"
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=2.0)

    def __enter__(self) -> PageServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _handler(desk: Desk, files: Path) -> type[BaseHTTPRequestHandler]:
    def get(path: str) -> _Reply:
        if path == "/state":
            return _json(desk.state())
        if path.startswith("/picture/"):
            png = desk.picture(unquote(path.removeprefix("/picture/")))
            if png is not None:
                return _Reply(HTTPStatus.OK, "image/png", png)
        name = desk.page if path == "/" else path[1:]
        file = files / name
        # Only the files that are there by name: a path cannot leave the folder.
        if file.suffix in _TYPES and file in files.iterdir():
            return _Reply(HTTPStatus.OK, _TYPES[file.suffix], file.read_bytes(), cached=True)
        return _Reply(HTTPStatus.NOT_FOUND, "text/plain", b"not found")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(lambda: get(urlsplit(self.path).path))

        def do_POST(self) -> None:
            self._answer(self._clicked)

        def _clicked(self) -> _Reply:
            if self.headers.get(OWN_HEADER) is None:
                return _Reply(HTTPStatus.FORBIDDEN, "text/plain", b"not from this page")
            length = int(self.headers.get("Content-Length") or 0)
            if length > LARGEST_CLICK_BYTES:
                return _Reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "text/plain", b"too large")
            try:
                what = json.loads(self.rfile.read(length))
                if not isinstance(what, dict):
                    raise ValueError("not an object")
            except ValueError as error:
                return _error(f"no click: {error}")
            return _json(desk.click(what))

        def _answer(self, reply_to: Callable[[], _Reply]) -> None:
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
            if host not in ("127.0.0.1", "localhost"):  # a name that somebody else's server gave this address
                reply = _Reply(HTTPStatus.FORBIDDEN, "text/plain", b"ask for 127.0.0.1")
            else:
                try:
                    reply = reply_to()
                except SerlError as error:
                    reply = _error(str(error))
            try:
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.kind)
                self.send_header("Content-Length", str(len(reply.body)))
                self.send_header("Cache-Control", "no-cache" if reply.cached else "no-store")
                self.end_headers()
                self.wfile.write(reply.body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the browser went away

        def log_message(self, format: str, *arguments: Any) -> None:
            """Keep the terminal for the run's progress."""

    return Handler


def _json(content: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> _Reply:
    return _Reply(status, "application/json", json.dumps(content, allow_nan=False).encode())


def _error(text: str) -> _Reply:
    return _json({"error": text}, HTTPStatus.BAD_REQUEST)
