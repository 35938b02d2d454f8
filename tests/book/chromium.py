"""A page in a real browser, by Chromium's own protocol: open it, wait until it says that it is drawn, look.

Nothing here waits for a clock: a page is looked at when its fonts and formulas are set and each of its figures carries
`data-drawn`, however long a loaded machine takes. `SECONDS` only ends what will never come.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import io
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# The old form --use-gl=swiftshader fails: "WebGL is not supported by your browser".
FLAGS = (
    "--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--hide-scrollbars", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-default-apps", "--disable-sync", "--disable-dev-shm-usage", "--force-prefers-reduced-motion",
    "--remote-debugging-port=0", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
LIGHT, DARK = "light", "dark"
FIGURES = ".plotly-book, .voxel-viewer"
SECONDS = 240  # a loaded machine takes 20 s for the slowest page

# Scripts ran, fonts and formulas are set, and what is on the screen now was painted.
SETTLED = """(async () => {
  if (document.readyState !== "complete") await new Promise(r => addEventListener("load", r, {once: true}));
  if (document.querySelector("script[src*=mathjax]")) {
    while (!(window.MathJax && MathJax.startup && MathJax.startup.promise)) await new Promise(r => setTimeout(r, 20));
    await MathJax.startup.promise;
  }
  await document.fonts.ready;
  await new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)));
  return true;
})()"""
# Each figure draws when it comes near the view.
DRAWN = """(async () => {
  for (const box of document.querySelectorAll(FIGURES)) {
    box.scrollIntoView({block: "center", behavior: "instant"});
    while (!box.dataset.drawn) await new Promise(r => setTimeout(r, 20));
  }
  scrollTo({top: 0, behavior: "instant"});
  await new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)));
  return true;
})()""".replace("FIGURES", json.dumps(FIGURES))


class BrowserError(Exception):
    """A page never came to rest, or its script raised an error."""


def find() -> str | None:
    """Chromium's program: `$CHROMIUM`, else the first known name on PATH."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for found in map(shutil.which, NAMES) if found), None)


@dataclass(frozen=True)
class Page:
    """What a page looked like and whom it asked."""

    dom: str
    asked: list[str]  # every address that the page requested, in order
    outside: list[str]  # those of them that are neither this server's nor inline


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Server:
    """Serves a folder on 127.0.0.1 at a free port, as a context."""

    def __init__(self, folder: Path):
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


class Browser:
    """One Chromium for many pages, as a context. Pages are opened one after another, each in a tab of its own."""

    Server, LIGHT, DARK, FIGURES = Server, LIGHT, DARK, FIGURES

    def __enter__(self):
        self.profile = Path(tempfile.mkdtemp(prefix="chromium-"))
        command = [find(), *FLAGS, f"--user-data-dir={self.profile}", "about:blank"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.loop = asyncio.new_event_loop()
        try:
            port, path = self._port()
            self.loop.run_until_complete(self._connect(f"ws://127.0.0.1:{port}{path}"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(SECONDS)
        self.loop.close()
        shutil.rmtree(self.profile, ignore_errors=True)

    def _port(self) -> list[str]:
        file, end = self.profile / "DevToolsActivePort", time.monotonic() + SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise BrowserError(f"Chromium ended at once with {self.process.returncode}")
            if file.is_file() and len(lines := file.read_text().splitlines()) == 2:
                return lines
            time.sleep(0.02)
        raise BrowserError(f"Chromium opened no port in {SECONDS} s")

    async def _connect(self, address: str) -> None:
        from tornado.websocket import websocket_connect

        self.socket = await websocket_connect(address, max_message_size=2**30)
        self.number, self.asked = 0, []

    async def _call(self, method: str, session: str | None = None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        await self.socket.write_message(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            text = await asyncio.wait_for(self.socket.read_message(), SECONDS)
            if text is None:
                raise BrowserError(f"Chromium ended during {method}")
            answer = json.loads(text)
            if answer.get("method") == "Network.requestWillBeSent":
                self.asked.append(answer["params"]["request"]["url"])
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def tab(self, address: str, scheme: str = LIGHT, size: tuple[int, int] = (1280, 900)) -> Tab:
        """Open a page and wait until it is drawn: every figure, however far down.

        Raises:
            BrowserError: after `SECONDS` a figure is not drawn yet.
        """
        return Tab(self, address, scheme, size)

    def visit(self, address: str, scheme: str = LIGHT, size: tuple[int, int] = (1280, 900)) -> Page:
        """The document of a page as it is when all is drawn, and what it asked for."""
        with self.tab(address, scheme, size) as tab:
            dom = tab.run("document.documentElement.outerHTML")
            return Page(dom, tab.asked, tab.outside())

    def picture(self, address: str, scheme: str = LIGHT, size: tuple[int, int] = (1280, 2400)) -> np.ndarray:
        """Screenshot of a page as an RGB array (H, W, 3) uint8."""
        with self.tab(address, scheme, size) as tab:
            return tab.picture()


class Tab:
    """An open page, as a context."""

    def __init__(self, browser: Browser, address: str, scheme: str, size: tuple[int, int]):
        self.browser, self.address, self.scheme, self.size = browser, address, scheme, size
        self.session = None

    def __enter__(self):
        self.target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self._call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        self.browser.asked = self.asked = []
        width, height = self.size
        for domain in ("Page", "Network", "Runtime"):
            self._call(f"{domain}.enable")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **metrics)
        features = {"prefers-color-scheme": self.scheme, "prefers-reduced-motion": "reduce"}
        self._call("Emulation.setEmulatedMedia", features=[{"name": n, "value": v} for n, v in features.items()])
        failed = self._call("Page.navigate", url=self.address).get("errorText")
        if failed:
            raise BrowserError(f"{self.address}: {failed}")
        self.run(SETTLED)
        self.run(DRAWN)
        return self

    def __exit__(self, *_):
        self.session = None
        self._call("Target.closeTarget", targetId=self.target)

    def _call(self, method: str, **parameters):
        return self.browser.loop.run_until_complete(self.browser._call(method, self.session, **parameters))

    def run(self, script: str):
        """Value of an expression in the page; a promise is awaited.

        Raises:
            BrowserError: the script raised an error, or its promise is not kept after `SECONDS`.
        """
        wait = {"returnByValue": True, "awaitPromise": True}
        try:
            found = self._call("Runtime.evaluate", expression=script, **wait)
        except TimeoutError:
            raise BrowserError(f"{self.address}: not done after {SECONDS} s: {script[:200]}") from None
        if "exceptionDetails" in found:
            raise BrowserError(f"{self.address}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def outside(self) -> list[str]:
        """Addresses that the page asked for and that are neither its own server's nor inline."""
        server = self.address if self.address.startswith("file:") else "/".join(self.address.split("/")[:3])
        return [url for url in self.asked if not url.startswith((server, "data:", "blob:", "about:"))]

    def picture(self, whole: bool = False) -> np.ndarray:
        """Screenshot of the window, or of the whole page, RGB (H, W, 3) uint8."""
        from PIL import Image

        data = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            return np.asarray(image.convert("RGB"))
