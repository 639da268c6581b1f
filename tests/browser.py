"""A headless Chromium, driven through its DevTools protocol; for the tests of pages.

    with_browser(work) → chromium on a free port → a page's WebSocket → Tab: open, click, press, run, screenshot, print

Clicks and keys are real input events at the place of an element, so what an overlay or a style keeps from a person it
keeps from the test, too. Whatever the console or the content policy complains of is kept in `complaints`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
START_SECONDS = 60.0
MOST_SECONDS = 240.0
"""A browser that hangs fails the test and does not hold it up."""
LOUD = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")

Found = TypeVar("Found")


class Tab:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.numbers = count(1)
        self.complaints: list[str] = []
        self.loaded = False

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol; what the page says meanwhile is noted."""
        number = next(self.numbers)
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self.socket.receive_json()
            self.note(message)
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return dict(message["result"])

    def note(self, message: dict[str, Any]) -> None:
        """Keeps complaints, and that the page has been loaded."""
        if message.get("method") in LOUD:
            self.complaints.append(json.dumps(message["params"])[:500])
        self.loaded |= message.get("method") == "Page.loadEventFired"

    async def open(self, page: Path, width: int, dark: bool = False) -> None:
        """Shows a file at a width in pixels, as a phone does below 500."""
        for domain in ("Log", "Runtime", "Page"):
            await self.call(f"{domain}.enable")
        metrics = {"height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        await self.call("Emulation.setDeviceMetricsOverride", width=width, **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.loaded = False
        await self.call("Page.navigate", url=page.resolve().as_uri())
        while not self.loaded:
            self.note(await self.socket.receive_json())

    async def run(self, expression: str) -> Any:
        """The value of a JavaScript expression; the page itself may run none."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def click(self, selector: str) -> None:
        """A press of the mouse in the middle of an element."""
        element = f"document.querySelector({json.dumps(selector)})"
        await self.run(f"{element}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        await self.settle()
        where = await self.run(
            f"(r => [r.x + r.width / 2, r.y + r.height / 2])({element}.getBoundingClientRect())"
        )
        point = {"x": where[0], "y": where[1], "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, **point)
        await self.settle()

    async def settle(self) -> None:
        """Waits until what has changed is drawn: only then does the mouse meet it where it is."""
        frames = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        await self.call("Runtime.evaluate", expression=f"{frames}.then(() => 0)", awaitPromise=True)

    async def press(self, key: str, code: int) -> None:
        """A key, by its name and its Windows code."""
        for kind in ("rawKeyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code
            )

    async def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode((await self.call("Page.printToPDF"))["data"])

    async def screenshot(self, clip: dict[str, float] | None = None) -> bytes:
        """What is seen, as PNG."""
        part = {"clip": clip | {"scale": 1}} if clip else {}
        found = await self.call("Page.captureScreenshot", captureBeyondViewport=True, **part)
        return base64.b64decode(found["data"])


def with_browser(work: Callable[[Tab], Awaitable[Found]]) -> Found:
    """Starts the browser, does the work in one tab, and ends the browser whatever happens."""
    return asyncio.run(asyncio.wait_for(browse(work), MOST_SECONDS))


async def browse(work: Callable[[Tab], Awaitable[Found]]) -> Found:
    """The same inside an event loop."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            *(CHROMIUM, *OPTIONS, "--remote-debugging-port=0", f"--user-data-dir={profile}"),
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            port = await asyncio.wait_for(port_of(Path(profile)), START_SECONDS)
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json") as reply:
                    (page,) = [one for one in await reply.json() if one["type"] == "page"]
                address = page["webSocketDebuggerUrl"]
                async with session.ws_connect(address, max_msg_size=0) as socket:
                    return await work(Tab(socket))
        finally:
            process.terminate()
            await process.wait()


async def port_of(profile: Path) -> int:
    """The port that the browser has chosen; it writes it into its profile."""
    file = profile / "DevToolsActivePort"
    while not file.exists() or not file.read_text():
        await asyncio.sleep(0.05)
    return int(file.read_text().splitlines()[0])
