"""The window of ``browser_sign_in.py --window``: a button that signs in with the browser, and can give up.

The calls run on an event loop in a thread, because the thread of the window never waits, and because a task
can be cancelled: then the listener ends, and its port is free again.
"""

import asyncio
import queue
import threading
import tkinter as tk
from concurrent.futures import CancelledError, Future
from tkinter import ttk

from hellojohn import AsyncHelloJohn, HelloJohnError, Session


class App:
    """A window with one button. It signs in, and gives up while the browser is away."""

    def __init__(self, window: tk.Tk, hj: AsyncHelloJohn, loop: asyncio.AbstractEventLoop) -> None:
        """Build it. ``loop`` runs in another thread."""
        self.window, self.hj, self.loop = window, hj, loop
        self.message, self.lines = tk.StringVar(), queue.SimpleQueue[str]()
        self.session: Future[Session] = Future()
        window.bind("<Control-q>", lambda _: window.destroy())
        self.button = ttk.Button(window)
        self.button.pack(padx=16, pady=16)
        self.button.focus_set()
        # Some users want another browser. They can copy the address from an entry, and not from a label.
        ttk.Entry(window, textvariable=self.message, state="readonly", width=60).pack(padx=16, pady=(0, 16))
        self.rest("sign in")

    def rest(self, title: str, message: str = "") -> None:
        """Wait for the user."""
        self.window.title(f"HelloJohn example - {title}")
        self.button.configure(text="Sign in with the browser", command=self.sign_in)
        self.message.set(message)

    def sign_in(self) -> None:
        """Open the browser, and wait for it."""
        work = self.hj.auth.sign_in_with_browser("google", remember_me=True, prompt=self.lines.put)
        self.session = asyncio.run_coroutine_threadsafe(work, self.loop)
        self.window.title("HelloJohn example - waiting for the browser")
        self.button.configure(text="Cancel", command=self.cancel)
        self.wait()

    def cancel(self) -> None:
        """Give up."""
        self.session.cancel()

    def wait(self) -> None:
        """Look for the result every 20 ms. All errors are turned into words here."""
        if not self.lines.empty():
            self.message.set(self.lines.get())
        if not self.session.done():
            self.window.after(20, self.wait)
            return
        try:
            user = self.session.result().user
            self.rest(user.email or "you", f"Hello {user.email or 'you'}")
        except CancelledError:
            self.rest("sign in", "You have not signed in.")
        except HelloJohnError as error:
            self.rest("sign in", str(error))


def show_window(hj: AsyncHelloJohn) -> int:
    """Run the app until its window is closed."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    window = tk.Tk()
    app = App(window, hj, loop)
    window.mainloop()
    app.cancel()
    asyncio.run_coroutine_threadsafe(hj.aclose(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    return 0
