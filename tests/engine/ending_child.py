"""A process that ends in the middle of a refresh; ``test_endings`` starts it and looks at what it leaves."""

import os
import signal
import sys
import time

from hellojohn import HelloJohn
from hellojohn.stores import FileStore


def main(url: str, folder: str, ahead: str, way: str) -> None:
    """Use the session that is in ``folder`` with a clock that is ``ahead`` seconds ahead, and end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without it
    hj = _client(url, folder, ahead, timeout=1.0 if way == "impatient" else 15.0)
    print("begins", flush=True)  # noqa: T201 - how it talks to its parent
    hj.auth.access_token()
    print("ends", flush=True)  # noqa: T201
    if way == "forked":
        os._exit(0)


def work(url: str, folder: str, ahead: str) -> None:
    """Use the session once, as a worker of ``multiprocessing`` does, and return."""
    _client(url, folder, ahead).auth.access_token()


def _client(url: str, folder: str, ahead: str, timeout: float = 15.0) -> HelloJohn:
    return HelloJohn(
        tenant_id="tnt_local",
        publishable_key="pk_test_local",
        api_url=url,
        store=FileStore(folder),
        clock=lambda: time.time() + float(ahead),
        timeout=timeout,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
