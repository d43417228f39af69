"""The desktop app runs on a real screen with a real keyring, and an emulator as the service."""

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import keyring.core
import pytest
from keyring.backends import SecretService

from hellojohn import HelloJohn, KeyringStore
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.testing._settings import settings_for

EXAMPLE = Path(__file__).parents[2] / "examples" / "desktop_app.py"

GRACE = {"email": "grace@example.com", "password": "a long pass phrase"}


@pytest.fixture
def emulator(hellojohn_emulator) -> Emulator:
    """Return the service."""
    return hellojohn_emulator


@pytest.fixture
def desktop(screen, gnome_keyring) -> dict[str, str]:
    """Return the environment of a program on the user's desktop."""
    return {**screen, **gnome_keyring}


# In this process: the texts of the window


class User:
    """A user who fills in the form, presses buttons and waits for the app."""

    def __init__(self, app) -> None:
        self.app = app
        self.settle()

    def press(self, label: str) -> str:
        """Press a button and return the app's message."""
        self.begin(label)
        return self.settle()

    def begin(self, label: str) -> None:
        """Press a button."""
        button = next(button for button in self.app.buttons if button["text"] == label)
        assert button.winfo_viewable(), f"there is no button {label!r} to be seen"
        button.invoke()

    def settle(self) -> str:
        """Wait until no work is under way; return the app's message."""
        while "disabled" in self.app.buttons[0].state():
            self.app.window.wait_variable(self.app.message)
        self.app.window.update()
        return self.app.message.get()

    def sign_in(
        self, password: str = DEMO_PASSWORD, *, email: str = DEMO_EMAIL, remember: bool = True
    ) -> str:
        """Fill in the form and send it."""
        self.app.email.set(email)
        self.app.password.set(password)
        self.app.remember.set(remember)
        return self.press("Sign in")

    def answer(self, *codes: str | None) -> list[str]:
        """Type these codes into the next dialogs, ``None`` to cancel; return the list of their questions."""
        left, asked, window = list(codes), list[str](), self.app.window

        def look() -> None:
            for dialog in window.winfo_children():
                if hasattr(dialog, "prompt") and dialog.grab_status():
                    asked.append(dialog.prompt)
                    code = left.pop(0)
                    dialog.entry.insert(0, code or "")
                    (dialog.cancel if code is None else dialog.ok)()
            if left:
                window.after(20, look)

        look()
        return asked

    @property
    def sees(self) -> str:
        """The page that is shown, by the window's title."""
        return self.app.window.title().removeprefix("HelloJohn example - ")


@pytest.fixture
def _collecting_here() -> Iterator[None]:
    """Keep other threads from freeing Tk objects, which only the window's thread may free."""
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture
def open_window(_collecting_here, desktop, emulator, monkeypatch, request) -> Iterator[Callable[[], User]]:
    """Return a function that opens the app's window in this process and closes the previous one."""
    for name, value in desktop.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(keyring.core, "_keyring_backend", SecretService.Keyring())
    spec = spec_from_file_location("desktop_app", EXAMPLE)
    example = module_from_spec(spec)
    spec.loader.exec_module(example)
    store = KeyringStore(request.node.name)
    with (
        HelloJohn(**settings_for(emulator), store=store) as hj,
        hj.client(base_url=emulator.url) as api,
        ThreadPoolExecutor(1) as worker,
        ExitStack() as windows,
    ):

        def show() -> User:
            windows.close()
            window = example.tk.Tk()
            windows.callback(window.destroy)
            return User(example.App(window, hj, api, worker))

        yield show


def test_sign_in_call_expire_sign_in_again(open_window, emulator):
    """One window serves a session, its end, and the next session."""
    user = open_window()
    assert (user.sees, user.app.message.get()) == ("sign in", "")
    assert user.sign_in() == ""
    assert user.sees == DEMO_EMAIL
    assert user.app.greeting.get() == f"Hello {DEMO_EMAIL}"
    assert user.press("Call the API") == "The API answered with status 200."
    emulator.advance("31d")
    assert user.press("Call the API") == "Your time is up. Please sign in."
    assert user.sees == "sign in"
    user.sign_in()
    assert user.press("Call the API") == "The API answered with status 200."
    assert user.press("Sign out") == "You have signed out."
    assert user.sees == "sign in"


def test_a_session_that_was_ended_elsewhere_says_so(open_window, emulator):
    """The user sees the reason, and the password field is empty."""
    user = open_window()
    user.sign_in()
    emulator.revoke(user.app.hj.auth.session().id)
    emulator.reject_access_tokens()
    assert user.press("Call the API") == "Your session was ended elsewhere. Please sign in."
    assert user.app.password.get() == ""


def test_the_next_window_finds_the_session_in_the_keyring(open_window, emulator):
    """A second start of the app finds the user signed in."""
    open_window().sign_in()
    assert open_window().sees == DEMO_EMAIL
    assert emulator.calls("sign-in") == 1


def test_a_wrong_password_is_explained(open_window):
    """The form stays, with the email address that the user typed."""
    user = open_window()
    assert user.sign_in("wrong") == "The email address or the password is wrong."
    assert user.sees == "sign in"
    assert user.app.email.get() == DEMO_EMAIL


def test_a_second_factor_is_asked_for_in_a_dialog(open_window, emulator):
    """A wrong code can be corrected with the same challenge, and the box still counts."""
    emulator.add_user(**GRACE, mfa_code="123456")
    user = open_window()
    asked = user.answer("000000", "123456")
    assert user.sign_in(**GRACE) == ""
    assert asked == ["The code of your second factor:", "That code is wrong. Another one:"]
    assert user.sees == GRACE["email"]
    assert user.app.hj.auth.session().remember_me
    assert emulator.calls("auth/sign-in") == 1


def test_a_second_factor_can_be_left_alone(open_window, emulator):
    """The form stays, and a code that comes too late is explained."""
    emulator.add_user(**GRACE, mfa_code="123456")
    user = open_window()
    user.answer(None)
    assert user.sign_in(**GRACE) == "A second factor is due."
    assert user.sees == "sign in"
    with emulator.hold("mfa/verify") as held:
        user.answer("123456")
        user.app.password.set(GRACE["password"])
        user.begin("Sign in")
        while not held.arrived.is_set():
            user.app.window.update()
        emulator.advance("6m")
    assert user.settle() == "That took too long. Please sign in again."
    assert user.sees == "sign in"


def test_an_outage_keeps_the_user_signed_in(open_window, emulator):
    """The page stays during an outage, and the next try succeeds."""
    user = open_window()
    user.sign_in()
    emulator.reject_access_tokens()
    emulator.fail("token/refresh", status=503, retry_after=60)
    offline = "HelloJohn cannot be reached. Please try again later. You are still signed in."
    assert user.press("Call the API") == offline
    assert user.sees == DEMO_EMAIL
    emulator.advance("61s")
    user.app.hj.auth.refresh()
    assert user.press("Call the API") == "The API answered with status 200."
    emulator.stop()
    assert "refused" in user.press("Call the API")
    assert user.press("Sign out") == "You have signed out."
    assert user.sign_in() == offline


def test_window_responds_while_a_call_is_under_way(open_window, emulator):
    """The window stays responsive during a call, and its buttons are disabled."""
    user = open_window()
    user.sign_in()
    alive = []
    with emulator.hold("resource") as held:
        user.begin("Call the API")
        held.wait_arrived(1)
        user.app.window.after(1, alive.append, "ticked")
        while not alive:
            user.app.window.update()
        assert all("disabled" in button.state() for button in user.app.buttons)
        user.begin("Call the API")
    assert user.settle() == "The API answered with status 200."
    assert emulator.calls("resource") == 1


# As a program with a keyboard


@contextmanager
def _running(environment: dict[str, str]) -> Iterator[subprocess.Popen]:
    """Start the program as a user does, and check that it ends without an error."""
    app = subprocess.Popen(
        [sys.executable, "-W", "error", EXAMPLE], env=environment, stderr=subprocess.PIPE, text=True
    )
    with app:
        try:
            yield app
            _xdotool(environment, "key", "ctrl+q")
            assert (app.wait(30), app.stderr.read()) == (0, "")
        finally:
            app.kill()


def _xdotool(environment: dict[str, str], *words: str) -> None:
    subprocess.run(["xdotool", *words], env=environment, check=True, timeout=30, stdout=subprocess.DEVNULL)


def test_it_works_by_keyboard_and_remembers_on_request(desktop, emulator):
    """A run without the box leaves no session, and a run with it is remembered by the next."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HELLOJOHN_")}
    environment = {
        **ours,
        **desktop,
        "HELLOJOHN_API_URL": emulator.url,
        "API_URL": emulator.url,
        "HELLOJOHN_TENANT_ID": emulator.tenant_id,
        "HELLOJOHN_PUBLISHABLE_KEY": emulator.publishable_key,
    }

    def see(title: str) -> None:
        name = f"^HelloJohn example - {title}$"
        _xdotool(environment, "search", "--sync", "--onlyvisible", "--name", name, "windowfocus", "--sync")

    def press(*keys: str) -> None:
        _xdotool(environment, "key", *keys)

    def fill_in() -> None:
        _xdotool(environment, "type", DEMO_EMAIL)
        press("Tab")
        _xdotool(environment, "type", DEMO_PASSWORD)

    with _running(environment):
        see("sign in")
        fill_in()
        press("Return")
        see(DEMO_EMAIL)
    with _running(environment):
        see("sign in")
        fill_in()
        press("Tab", "space", "Tab", "space")
        see(DEMO_EMAIL)
        with emulator.hold("resource") as held:
            press("space")
            held.wait_arrived(1)
    with _running(environment):
        see(DEMO_EMAIL)
    assert emulator.calls("sign-in") == 2
    assert emulator.calls("sign-out") == 1
