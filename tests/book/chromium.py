"""A page in a real browser, without any browser-driving package: flags, --dump-dom, --screenshot and the net log."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# The old form --use-gl=swiftshader fails: "WebGL is not supported by your browser".
FLAGS = (
    "--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--hide-scrollbars", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-default-apps", "--disable-sync", "--disable-dev-shm-usage", "--force-prefers-reduced-motion",
    "--virtual-time-budget=15000", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
LIGHT, DARK = 1, 0  # Blink's preferredColorScheme


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


def _run(flags: list[str], address: str, folder: Path, scheme: int) -> tuple[str, list[str]]:
    log = folder / "net.json"
    command = [
        find(), *FLAGS, f"--blink-settings=preferredColorScheme={scheme}", f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={log}", *flags, address,
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    shutil.rmtree(folder / "profile", ignore_errors=True)
    return ran.stdout, _requests(log)


def _requests(log: Path) -> list[str]:
    """Addresses that pages requested, out of Chromium's net log.

    The browser's own housekeeping (updates, time, accounts) is there too; it has no origin and no page's key.
    """
    text = log.read_text(encoding="utf-8", errors="replace").rstrip().rstrip(",")
    try:
        data = json.loads(text)
    except ValueError:  # the browser was stopped before it closed the list
        data = json.loads(text + "]}")
    kind = data["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    found = []
    for event in data["events"]:
        asked = event.get("params", {})
        if event["type"] != kind or "url" not in asked:
            continue
        ours = "127.0.0.1" in asked.get("network_isolation_key", "127.0.0.1")
        if ours or asked.get("initiator") != "not an origin":
            found.append(asked["url"])
    return found


def visit(address: str, folder: Path, scheme: int = LIGHT) -> Page:
    """Open a page in a window so tall that figures far down draw too, and return its document as it then is."""
    dom, asked = _run(["--window-size=1280,8000", "--dump-dom"], address, folder, scheme)
    server = "/".join(address.split("/")[:3])
    outside = [url for url in asked if not url.startswith((server, "data:", "blob:"))]
    return Page(dom, asked, outside)


def picture(address: str, folder: Path, scheme: int = LIGHT, size: tuple[int, int] = (1280, 2400)):
    """Screenshot of a page as an RGB array (H, W, 3) uint8."""
    import numpy as np
    from PIL import Image

    out = folder / "page.png"
    _run([f"--window-size={size[0]},{size[1]}", f"--screenshot={out}"], address, folder, scheme)
    with Image.open(out) as image:
        return np.asarray(image.convert("RGB"))
