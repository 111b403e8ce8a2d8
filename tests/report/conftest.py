"""A real Chromium for the page's tests: one per session, and pages that tolerate no noise."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from attentad.video import write_video

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _chromium() -> str | None:
    for name in (os.environ.get("ATTENTAD_CHROMIUM"), "/usr/bin/chromium"):
        if name and Path(name).exists():
            return name
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = _chromium()
    if executable is None:
        pytest.skip("no Chromium here: apt-get install chromium, or set ATTENTAD_CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a file; any console message, script error, dialog or network request fails the test."""
    noise: list[str] = []
    contexts = []

    def watch_request(request: Any) -> None:
        if not request.url.startswith(("file:", "blob:", "data:")):
            noise.append(f"request {request.url}")

    def open_(path: Path, fragment: str = "", **context: Any) -> Page:
        options = {"viewport": {"width": 1280, "height": 900}} | context
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(8000)
        page.on("console", lambda message: noise.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: noise.append(f"error {error}"))
        page.on("request", watch_request)

        def dismiss(dialog: Any) -> None:
            noise.append(f"dialog {dialog.message}")
            dialog.dismiss()

        page.on("dialog", dismiss)
        page.goto(path.as_uri() + fragment)
        return page

    open_.noise = noise  # type: ignore[attr-defined]
    yield open_
    for context in contexts:
        context.close()
    assert noise == []


@pytest.fixture(scope="session")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of H.264 at 10 fps, 96 by 64 pixels, a bar that moves to the right."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    frames = []
    for number in range(100):
        picture = np.full((64, 96, 3), 40, dtype=np.uint8)
        picture[:, max(0, number - 8) : number] = (200, 180, 60)
        frames.append(picture)
    write_video(path, frames, 10.0)
    return path
