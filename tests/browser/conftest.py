"""Fixtures of the browser's tests: Chromium, and the three example sites."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from hellojohn.emulator import Emulator
from tests.browser.chromium import Browser

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = {
    "fastapi": (".", "uvicorn", "--factory", "web_backend:create_app", "--fd", "{fd}"),
    "flask": (".", "gunicorn", "--threads", "8", "--bind", "fd://{fd}", "flask_app:create_app()"),
    "django": (
        *("django_app", "gunicorn", "--threads", "8", "--bind", "fd://{fd}"),
        "django.core.wsgi:get_wsgi_application()",
    ),
}
EMAIL, PASSWORD = "ada@example.com", "correct horse"
CAREFUL = "grace@example.com"
"""A user with a second factor."""


@dataclass(frozen=True)
class Site:
    """An example site, which runs as in production.

    Attributes:
        name: Its framework.
        port: Its port.
        emulator: The service behind it.
        process: The program that serves it.
    """

    name: str
    port: int
    emulator: Emulator
    process: subprocess.Popen[bytes]

    def url(self, path: str, *, host: str | None = None) -> str:
        """Return the address of a page. Browsers take every name under ``localhost`` for this machine."""
        return f"http://{host or self.name}.localhost:{self.port}{path}"


@pytest.fixture(scope="session")
def chromium(browser_programs, tmp_path_factory) -> Iterator[Browser]:
    """Return the browser of all tests."""
    browser = Browser(browser_programs, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(chromium) -> Browser:
    """Return the browser, without a signed-in user."""
    chromium.forget()
    return chromium


@pytest.fixture(scope="module")
def other_browser(browser_programs, tmp_path_factory) -> Iterator[Browser]:
    """Return another browser, which shares nothing with the first."""
    browser = Browser(browser_programs, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.driver.quit()


class Sites(dict[str, Site]):
    """The sites by name. Each starts when it is first asked for. All have one store."""

    def __init__(self, stack: ExitStack, store: str) -> None:
        """Stop them with the stack."""
        self._stack = stack
        self._store = store

    def __missing__(self, name: str) -> Site:
        """Start a site."""
        self[name] = site = self._stack.enter_context(_site(name, self._store))
        _wait_for(site)
        return site


@pytest.fixture(scope="session")
def sites(browser_programs, valkey) -> Iterator[Sites]:
    """Return the three sites."""
    with ExitStack() as stack:
        sites = Sites(stack, f"unix://{valkey.unix_socket_path}")
        yield sites
        for site in sites.values():
            site.process.send_signal(signal.SIGINT)  # gunicorn then waits for no open connection


@pytest.fixture(params=PROGRAMS, scope="module")
def site(request, sites) -> Site:
    """Return the site in each framework in turn."""
    return sites[request.param]


@contextmanager
def _site(name: str, store: str) -> Iterator[Site]:
    folder, *command = PROGRAMS[name]
    with Emulator() as emulator, socket.create_server(("127.0.0.1", 0)) as listener:
        emulator.add_user(EMAIL, PASSWORD)
        emulator.add_user(CAREFUL, PASSWORD, mfa_code="123456")
        settings = {
            "API_URL": emulator.url,
            "DJANGO_SETTINGS_MODULE": "settings",
            "HELLOJOHN_API_URL": emulator.url,
            "HELLOJOHN_PUBLISHABLE_KEY": emulator.publishable_key,
            "HELLOJOHN_TENANT_ID": emulator.tenant_id,
            "REDIS_URL": store,
        }
        fd = listener.fileno()
        with subprocess.Popen(
            [sys.executable, "-m", *(word.format(fd=fd) for word in command)],
            cwd=EXAMPLES / folder,
            env={**os.environ, **settings},
            pass_fds=[fd],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                yield Site(name, listener.getsockname()[1], emulator, process)
            except BaseException:
                process.kill()
                raise


def _wait_for(site: Site) -> None:
    ends_at = time.monotonic() + 60
    while time.monotonic() < ends_at:
        try:
            httpx.get(f"http://127.0.0.1:{site.port}/sign-in", timeout=5, trust_env=False).raise_for_status()
        except httpx.TransportError:
            continue
        return
    pytest.fail(f"the {site.name} site does not answer")
