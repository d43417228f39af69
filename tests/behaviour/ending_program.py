"""A program that ends in the middle of a refresh. ``test_program_ends`` starts it, and looks at the store."""

import atexit
import os
import signal
import sys
import time

AT_EXIT = []  # before hellojohn is imported: what is registered first runs last
atexit.register(lambda: [call() for call in AT_EXIT])
LONG_ENOUGH = 0.5  # for a refresh to be sent

from hellojohn import HelloJohn  # noqa: E402
from hellojohn.stores import FileStore  # noqa: E402


def main(url: str, folder: str, ahead: str, way: str) -> None:
    """Use the session in ``folder``, with a clock that is ``ahead`` seconds ahead, and end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs without it
    hj = _client(url, folder, ahead)
    if way == "at exit":
        AT_EXIT.extend([hj.auth.access_token, lambda: time.sleep(LONG_ENOUGH)])
        hj.auth.session()
        return
    print("begins", flush=True)  # noqa: T201 - the test reads it
    hj.auth.access_token()
    print("ends", flush=True)  # noqa: T201
    if way == "forked":
        os._exit(0)


def work(url: str, folder: str, ahead: str) -> None:
    """Use the session once and return, as a worker of ``multiprocessing`` does."""
    _client(url, folder, ahead).auth.access_token()


def _client(url: str, folder: str, ahead: str) -> HelloJohn:
    return HelloJohn(
        tenant_id="tnt_local",
        publishable_key="pk_test_local",
        api_url=url,
        store=FileStore(folder),
        clock=lambda: time.time() + float(ahead),
        timeout=1.0,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
