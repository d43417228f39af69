"""A desktop app: a form to sign in, a button that calls an API, and the session in the system's keyring.

It needs a service, such as the emulator, which prints a user and the settings to paste before the last line:

    pip install '.[keyring,cli]'
    hellojohn emulator  # in another terminal
    python examples/desktop_app.py

In a real app, ``API_URL`` is the address of the app's API. The thread of the window never waits: every call
that may block runs on a worker thread, such as one to a keyring that asks to be unlocked.
"""

import os
import tkinter as tk
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from tkinter import simpledialog, ttk
from typing import TypeVar

import httpx

from hellojohn import (
    ChallengeExpired,
    HelloJohn,
    HelloJohnError,
    InvalidCredentials,
    MfaChallenge,
    MfaRequired,
    ServiceUnavailable,
    Session,
    SignInRequired,
    ValidationFailed,
    default_store,
)

T = TypeVar("T")
WORDS = {"expired": "Your time is up.", "revoked": "Your session was ended elsewhere."}


class App:
    """The window: the sign-in form, or a page of the app once a user is signed in."""

    def __init__(self, window: tk.Tk, hj: HelloJohn, api: httpx.Client, worker: ThreadPoolExecutor) -> None:
        """Build both, and show the page if the keyring has a session."""
        self.window, self.hj, self.api, self.worker = window, hj, api, worker
        self.email, self.password, self.remember = tk.StringVar(), tk.StringVar(), tk.BooleanVar()
        self.greeting, self.message = tk.StringVar(), tk.StringVar()
        self.buttons: list[ttk.Button] = []
        window.minsize(340, 260)
        window.bind("<Control-q>", lambda _: window.destroy())
        self.form, self.page = self.build_form(), self.build_page()
        ttk.Label(window, textvariable=self.message, wraplength=300).pack(side="bottom", pady=12)
        self.run(hj.auth.session, self.show)

    def build_form(self) -> ttk.Frame:
        """Build the form. The Return key sends it."""
        form = ttk.Frame(self.window, padding=16)
        self.first_entry = ttk.Entry(form, textvariable=self.email, width=32)
        password = ttk.Entry(form, textvariable=self.password, width=32, show="\N{BULLET}")
        ttk.Label(form, text="Email").pack(anchor="w")
        self.first_entry.pack(fill="x")
        ttk.Label(form, text="Password").pack(anchor="w", pady=(8, 0))
        password.pack(fill="x")
        ttk.Checkbutton(form, text="Remember me", variable=self.remember).pack(anchor="w", pady=8)
        button = self.build_button(form, "Sign in", self.sign_in)
        password.bind("<Return>", lambda _: button.invoke())
        return form

    def build_page(self) -> ttk.Frame:
        """Build the page."""
        page = ttk.Frame(self.window, padding=16)
        ttk.Label(page, textvariable=self.greeting).pack(pady=8)
        self.first_button = self.build_button(page, "Call the API", self.call)
        self.build_button(page, "Sign out", self.sign_out)
        return page

    def build_button(self, frame: ttk.Frame, text: str, command: Callable[[], None]) -> ttk.Button:
        """Build a button that is disabled while the worker is busy."""
        button = ttk.Button(frame, text=text, command=command)
        button.pack(fill="x", pady=2)
        self.buttons.append(button)
        return button

    def show(self, session: Session | None, message: str = "") -> None:
        """Show the page of a session, or the form."""
        (self.form if session else self.page).pack_forget()
        (self.page if session else self.form).pack(fill="both", expand=True)
        (self.first_button if session else self.first_entry).focus_set()
        name = session.user.email if session else None
        self.greeting.set(f"Hello {name or 'you'}")
        self.window.title(
            f"HelloJohn example - {name or 'you'}" if session else "HelloJohn example - sign in"
        )
        self.message.set(message)

    def sign_in(self) -> None:
        """Sign in. Without the box ticked, the session is forgotten when the window is closed."""
        email, password, remember = self.email.get(), self.password.get(), self.remember.get()
        self.password.set("")
        self.run(lambda: self.hj.auth.sign_in(email, password, remember_me=remember), self.show)

    def ask_code(self, challenge: MfaChallenge, question: str = "The code of your second factor:") -> None:
        """Ask for the code in a dialog, until it is right or the user cancels."""
        self.message.set("A second factor is due.")
        code = simpledialog.askstring("Second factor", question, parent=self.window)
        if code is not None:
            again = "That code is wrong. Another one:"
            self.run(
                lambda: self.verify(challenge, code),
                lambda session: self.show(session) if session else self.ask_code(challenge, again),
            )

    def verify(self, challenge: MfaChallenge, code: str) -> Session | None:
        """Answer the challenge; ``None`` means that the code is wrong and the challenge still works."""
        try:
            return self.hj.auth.verify_mfa(challenge, code)
        except (InvalidCredentials, ValidationFailed):
            return None

    def call(self) -> None:
        """Call the API."""
        self.run(
            lambda: self.api.get("/resource"),
            lambda answer: self.message.set(f"The API answered with status {answer.status_code}."),
        )

    def sign_out(self) -> None:
        """Sign out."""
        self.run(self.hj.auth.sign_out, lambda _: self.show(None, "You have signed out."))

    def run(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Run ``work`` on the worker thread, and pass its result to ``then`` on this thread."""
        for button in self.buttons:
            button.state(["disabled"])
        self.message.set("One moment\N{HORIZONTAL ELLIPSIS}")
        self.wait(self.worker.submit(work), then)

    def wait(self, result: "Future[T]", then: Callable[[T], None]) -> None:
        """Look for the result every 20 ms. All errors are turned into words here."""
        if not result.done():
            self.window.after(20, lambda: self.wait(result, then))
            return
        for button in self.buttons:
            button.state(["!disabled"])
        try:
            then(result.result())
        except SignInRequired as over:
            self.show(None, f"{WORDS.get(getattr(over, 'reason', ''), '')} Please sign in.".strip())
        except MfaRequired as due:
            self.ask_code(due.challenge)
        except (InvalidCredentials, ValidationFailed):
            self.message.set("The email address or the password is wrong.")
        except ChallengeExpired:
            self.message.set("That took too long. Please sign in again.")
        except ServiceUnavailable:
            self.message.set("HelloJohn cannot be reached. Please try again later. You are still signed in.")
        except (HelloJohnError, httpx.HTTPError) as error:
            self.message.set(str(error))


def main() -> None:
    """Run the app until its window is closed, and let the worker finish its last call."""
    address = os.environ["API_URL"]
    with HelloJohn(store=default_store("hellojohn-example")) as hj, hj.client(base_url=address) as api:
        with ThreadPoolExecutor(1) as worker:
            app = App(tk.Tk(), hj, api, worker)
            app.window.mainloop()
        session = hj.auth.session()
        if session and not session.remember_me:
            hj.auth.sign_out()


if __name__ == "__main__":
    main()
