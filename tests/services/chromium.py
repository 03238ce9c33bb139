"""A real browser without a window: Debian's Chromium and its driver."""

from __future__ import annotations

import shutil
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from tests.services.npm import npm_package
from tests.services.programs import need

AXE_VERSION = "4.14.1"

WIDE, PHONE = (1280, 900), (375, 812)
"""Widths and heights in pixels."""

_ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--hide-scrollbars", "--no-first-run", "--disable-background-networking"),
)


class Browser:
    """One window."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def look(self, *, dark: bool = False, size: tuple[int, int] = WIDE) -> None:
        """Have a screen of this size, in light or dark."""
        width, height = size
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._command("Emulation.setEmulatedMedia", features=[scheme])
        self._command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=size == PHONE,
        )

    def open(self, url: str) -> None:
        """Go there."""
        self.driver.get(url)

    def text(self) -> str:
        """What is to be read on the page."""
        return str(self.driver.execute_script("return document.body.innerText"))

    def overflows(self) -> bool:
        """Whether the page is wider than the screen."""
        script = "return document.documentElement.scrollWidth > innerWidth"
        return bool(self.driver.execute_script(script))

    def complaints(self) -> list[str]:
        """What the browser itself found wrong since the last time, such as breaches of a policy."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def barriers(self) -> list[str]:
        """What axe finds to be serious or critical barriers."""
        self.driver.execute_script(
            (npm_package("axe-core", AXE_VERSION) / "axe.min.js").read_text()
        )
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run({resultTypes: ['violations']}).then(done, each => done(String(each)))"
        )
        return [
            f"{each['id']}: {node['html']}: {node['failureSummary']}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]

    def picture(self) -> bytes:
        """All of the page, as PNG."""
        script = "return [innerWidth, document.documentElement.scrollHeight]"
        width, height = self.driver.execute_script(script)
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self._command(
            "Page.captureScreenshot", captureBeyondViewport=True, clip=clip, format="png"
        )
        return b64decode(shot["data"])

    def _command(self, name: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, arguments)


@contextmanager
def running_browser(*, javascript: bool = True) -> Iterator[Browser]:
    """A browser of one's own; it ends with the context."""
    need("chromium", "chromedriver")
    options = Options()
    options.binary_location = str(shutil.which("chromium"))
    for argument in _ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not javascript:
        setting = {"profile.managed_default_content_settings.javascript": 2}
        options.add_experimental_option("prefs", setting)
    driver = Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
