"""A program that signs in with a browser that never comes back: ``python -m tests.ways_in.waiting_program``.

Takes ``sync`` or ``async`` and a port. Prints a line once the call waits for the browser.
"""

import asyncio
import os
import signal
import sys
import threading
import time

from hellojohn import AsyncHelloJohn, HelloJohn, MemoryStore
from hellojohn._browser import Listener

SETTINGS = {
    "tenant_id": "tnt_1",
    "publishable_key": "pk_1",
    "api_url": "https://api.example.com",
    "store": MemoryStore(),
}


def report() -> None:
    """Print a line when some thread waits for the callback."""
    while not any(_waits(frame) for frame in sys._current_frames().values()):
        time.sleep(0.001)
    os.write(1, b"waiting\n")  # not print: the program may end while this thread still has the lock of stdout


def _waits(frame) -> bool:
    while frame is not None:
        if frame.f_code is Listener.wait.__code__:
            return True
        frame = frame.f_back
    return False


def blocking(port: int) -> None:
    """Sign in with the client that blocks."""
    with HelloJohn(**SETTINGS) as hj:
        hj.auth.sign_in_with_browser("google", ports=(port,), open_browser=str, prompt=str)


async def awaiting(port: int) -> None:
    """Sign in with the client that awaits."""
    async with AsyncHelloJohn(**SETTINGS) as hj:
        await hj.auth.sign_in_with_browser("google", ports=(port,), open_browser=str, prompt=str)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs without it
    threading.Thread(target=report, daemon=True).start()
    if sys.argv[1] == "sync":
        blocking(int(sys.argv[2]))
    else:
        asyncio.run(awaiting(int(sys.argv[2])))
