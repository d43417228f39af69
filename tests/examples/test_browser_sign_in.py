"""The program that signs in with a browser, in a terminal and in a window, used with a real keyboard."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD

EXAMPLE = Path(__file__).parents[2] / "examples" / "browser_sign_in.py"
BROWSER = f"{sys.executable} {Path(__file__).with_name('login_filler.py')} %s"


class Desktop:
    """A person with a keyboard in front of a screen."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def see(self, title: str) -> None:
        """Wait for a window with a title, and give it the keyboard."""
        name = f"^HelloJohn example - {title}$"
        self._do("search", "--sync", "--onlyvisible", "--name", name, "windowfocus", "--sync")

    def press(self, *keys: str) -> None:
        """Press keys."""
        self._do("key", *keys)

    def _do(self, *words: str) -> None:
        command = ["xdotool", *words]
        subprocess.run(command, env=self._environment, check=True, timeout=30, stdout=subprocess.DEVNULL)


@pytest.fixture
def running(screen) -> Callable[..., "contextmanager[Desktop]"]:
    """Return a function that runs the program, with a command as the browser."""

    @contextmanager
    def run(browser: str) -> Iterator[Desktop]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("HELLOJOHN_")}
        environment = {**ours, **screen, "BROWSER": browser}
        command = [sys.executable, "-W", "error", EXAMPLE, "--window"]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as app:
            try:
                yield Desktop(environment)
                said = app.communicate(timeout=30)[1]
                assert (app.returncode, said.splitlines()[1:]) == (0, [])
            finally:
                app.kill()

    return run


def test_window_signs_in_with_the_browser(running):
    """The button opens the browser, and the window greets the user who comes back."""
    with running(BROWSER) as desktop:
        desktop.see("sign in")
        desktop.press("space")
        desktop.see("demo@example.com")
        desktop.press("ctrl+q")


def test_window_gives_up(running):
    """The button then cancels, the sign-in can begin again, and closing the window ends the wait."""
    with running("true %s") as desktop:
        desktop.see("sign in")
        desktop.press("space")
        desktop.see("waiting for the browser")
        desktop.press("space")
        desktop.see("sign in")
        desktop.press("space")
        desktop.see("waiting for the browser")
        desktop.press("ctrl+q")


@contextmanager
def in_a_terminal(browser: str) -> Iterator[tuple[Any, int]]:
    """Run the program with a terminal for its input; give it, and the keyboard."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HELLOJOHN_")}
    keyboard, terminal = os.openpty()
    command, environment = [sys.executable, "-W", "error", EXAMPLE], {**ours, "BROWSER": browser}
    pipe = subprocess.PIPE
    try:
        with subprocess.Popen(
            command, env=environment, stdin=terminal, stdout=pipe, stderr=pipe, text=True
        ) as app:
            try:
                yield app, keyboard
            finally:
                app.kill()
    finally:
        os.close(keyboard)
        os.close(terminal)


on_posix = pytest.mark.skipif(sys.platform == "win32", reason="only on POSIX: Windows has no such terminals")


@on_posix
def test_terminal_is_left_alone_after_the_sign_in():
    """Once the browser is back, nothing waits for a line any more, and the program ends as usual."""
    with in_a_terminal(BROWSER) as (app, _):
        out, _ = app.communicate(timeout=30)
        assert (app.returncode, out) == (0, "Signed in as demo@example.com for 30 days, 0:00:00\n")


@on_posix
def test_address_is_pasted_into_the_terminal():
    """A browser on another machine cannot come back: the person pastes the address that it ends on."""
    with in_a_terminal("true %s") as (app, keyboard):
        address = next(line for line in app.stderr if line.startswith("Sign in with")).split()[-1]
        with httpx.Client(trust_env=False) as browser:
            page = browser.get(address, follow_redirects=True)
            flow = re.search('name="flow" value="([^"]+)"', page.text)[1]
            form = {"flow": flow, "email": DEMO_EMAIL, "password": DEMO_PASSWORD}
            back = browser.post(page.url.join("/login"), data=form)
        os.write(keyboard, f"{back.headers['location']}\n".encode())
        assert app.wait(timeout=30) == 0
