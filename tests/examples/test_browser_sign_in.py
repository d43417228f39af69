"""The window that signs in with a browser, on a real screen and used with a keyboard."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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
