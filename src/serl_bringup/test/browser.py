# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A real browser without a window, told what to do by the W3C WebDriver protocol."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = "" if BROWSER and DRIVER else "no browser to test with: apt-get install chromium chromium-driver"
PATIENCE = 60.0


class Browser:
    """One window of Chromium."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        assert DRIVER
        self._driver = subprocess.Popen([DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL)
        self._base = f"http://127.0.0.1:{port}"
        until(self._ready, "a driver")
        switches = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1300,900"]
        chrome = {"binary": BROWSER, "args": switches}
        answer = self._call(
            "POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": chrome}}}
        )
        self._base += f"/session/{answer['sessionId']}"

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._call("DELETE", "", None)
        finally:
            self._driver.terminate()
            self._driver.wait(10)

    def open(self, address: str) -> None:
        """Load a page."""
        self._call("POST", "/url", {"url": address})

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        return self._call("POST", "/execute/sync", {"script": f"return {script}", "args": []})

    def text(self, element: str) -> str:
        """Return the text of the element with that id."""
        return str(self.evaluate(f"document.getElementById({element!r}).textContent"))

    def click(self, selector: str) -> None:
        """Click on the first element that a CSS selector finds."""
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        self._call("POST", f"/element/{next(iter(found.values()))}/click", {})

    def press(self, keys: str) -> None:
        """Type keys into the page."""
        found = self._call("POST", "/element", {"using": "css selector", "value": "body"})
        self._call("POST", f"/element/{next(iter(found.values()))}/value", {"text": keys})

    def screenshot(self) -> bytes:
        """Return what the window shows, as PNG."""
        return base64.b64decode(self._call("GET", "/screenshot", None))

    def _ready(self) -> bool:
        try:
            return bool(self._call("GET", "/status", None)["ready"])
        except (urllib.error.URLError, ConnectionError):
            return False

    def _call(self, method: str, path: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None


def until(done: Callable[[], Any], what: str) -> Any:
    """Return the first true value of `done`."""
    deadline = time.monotonic() + PATIENCE
    while not (value := done()):
        assert time.monotonic() < deadline, f"no {what} within {PATIENCE:.0f} s"
        time.sleep(0.05)
    return value
