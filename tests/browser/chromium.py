"""A headless Chromium with a profile on disk, which is used with the keyboard alone."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

__all__ = ["Browser", "Keys"]

FLAGS = [
    *("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions"),
    *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
]
PATIENCE = 20.0


class Browser:
    """The browser and its one tab.

    Attributes:
        driver: What drives it.
    """

    def __init__(self, programs: tuple[str, str], profile: Path) -> None:
        """Start it with a profile."""
        self._programs = programs
        self._profile = profile
        self.driver = self._start()

    def restart(self) -> None:
        """End it as a user does, and start it again with the same profile."""
        self.driver.quit()
        self.driver = self._start()

    def forget(self) -> None:
        """Delete all cookies, and clear the console."""
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self.complaints()

    def _start(self) -> Chrome:
        browser, driver = self._programs
        options = ChromeOptions()
        options.binary_location = browser
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for flag in [*FLAGS, f"--user-data-dir={self._profile}"]:
            options.add_argument(flag)
        if os.getuid() == 0:
            options.add_argument("--no-sandbox")  # Chromium sets none up for root
        return Chrome(options=options, service=ChromeService(driver))

    # Actions of a person

    def open(self, address: str) -> None:
        """Enter an address."""
        self.driver.get(address)

    def press(self, *keys: str) -> None:
        """Press keys, such as ``Keys.TAB``, one after the other."""
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def type(self, *texts: str) -> None:
        """Go from field to field with the Tab key, and write a text into each."""
        for text in texts:
            self.press(Keys.TAB)
            self.driver.execute_cdp_cmd("Input.insertText", {"text": text})

    def wait_for(self, text: str) -> None:
        """Wait until the page shows a text."""
        self._wait(lambda: text in self.text, text)

    def wait_for_place(self, place: str) -> None:
        """Wait until the address bar shows a path and a query."""
        self._wait(lambda: self.place == place, place)

    # Views of a person

    @property
    def place(self) -> str:
        """The path and the query in the address bar."""
        parts = urlsplit(self.driver.current_url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @property
    def text(self) -> str:
        """The text that the page shows."""
        return self.driver.execute_script("return document.body ? document.body.innerText : ''")

    @property
    def focused(self) -> WebElement:
        """The element that has the keyboard."""
        return self.driver.switch_to.active_element

    # Views of a developer

    def all(self, selector: str) -> list[WebElement]:
        """Return the elements of the page that a CSS selector names."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def cookie(self, name: str) -> dict[str, Any] | None:
        """Return a cookie of the page's site."""
        return self.driver.get_cookie(name)

    def complaints(self) -> list[str]:
        """Return the lines of the browser's console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def _wait(self, holds: Callable[[], bool], wanted: str) -> None:
        wait = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.02)
        wait.until(lambda _: holds(), f"{wanted!r} is not shown at {self.place!r}: {self.text!r}")
