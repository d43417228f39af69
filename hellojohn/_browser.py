"""The listener that a browser comes back to when a desktop app or a command-line tool signs in (RFC 8252).

It answers on one loopback port until the sign-in is over. Each connection has a thread and a bound in bytes
and time, so an idle or hostile one delays nothing until all places are taken. It changes nothing but for the
one right callback, and for an error of a server that sends no state with it.
"""

import queue
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from hellojohn._errors import ConfigurationError, ServiceUnavailable
from hellojohn._limits import (
    BROWSER_CONNECTIONS,
    BROWSER_READ_TIME,
    ERROR_GRACE,
    LONGEST_BROWSER_REQUEST,
)
from hellojohn._oauth import OAuthRequest, is_state, not_completed, read_query, shown

_DONE = "You are signed in. You can close this window."
_FAILED = "The sign-in was not completed. You can close this window."
_CAUSES = (
    "No browser came back in time. A page in the browser may show the reason: a second factor that was not"
    " completed, an unknown client, a redirect address that is not registered, or no login page. Try again."
)


class _Reply(NamedTuple):
    status: str
    text: str


class Listener:
    """Listens on the first free port of a list.

    Attributes:
        redirect_uri: The address that a browser comes back to.
    """

    def __init__(self, ports: Sequence[int]) -> None:
        """Bind the port, and keep it until ``close``.

        Raises:
            ConfigurationError: ``ports`` is malformed, or all of them are in use.
        """
        self._socket = _bound(ports)
        port = self._socket.getsockname()[1]
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.redirect_uri = f"http://127.0.0.1:{port}/callback"
        self._request: OAuthRequest | None = None
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._over = False
        self._failed_at: float | None = None
        self._failure = ""
        self._places = threading.BoundedSemaphore(BROWSER_CONNECTIONS)

    def open(self, request: OAuthRequest) -> None:
        """Begin to answer."""
        self._request = request
        threading.Thread(target=self._serve, name="hellojohn-browser", daemon=True).start()

    def close(self) -> None:
        """Free the port. Nothing that comes now changes anything."""
        with self._lock:
            self._over = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def browse(self, open_browser: Callable[[str], object], url: str) -> None:
        """Open a browser, beside the listener: its command may stay in the foreground."""

        def work() -> None:
            with suppress(Exception):  # without a browser on this machine, the person opens the address
                open_browser(url)

        threading.Thread(target=work, name="hellojohn-open", daemon=True).start()

    def paste(self, read: Callable[[], str]) -> None:
        """Read an address that a person pastes, beside the listener, until the right one comes."""

        def work() -> None:
            while not self._over:
                try:
                    address = read()
                except (EOFError, OSError, KeyboardInterrupt):
                    return
                self._take(f"/callback?{address.strip().partition('?')[2]}", is_page=True)

        threading.Thread(target=work, name="hellojohn-paste", daemon=True).start()

    def wait(self, timeout: float, cancelled: threading.Event) -> str:
        """Wait for the callback, and return its address.

        Raises:
            ChallengeExpired: The sign-in was refused in the browser.
            ServiceUnavailable: No callback came in time, or the caller gave up.
        """
        ends_at = time.monotonic() + timeout
        while not cancelled.is_set():
            with suppress(queue.Empty):
                return self._answers.get(timeout=0.1)
            now = time.monotonic()
            if self._failed_at is not None and now >= self._failed_at + ERROR_GRACE:
                raise not_completed(self._failure)
            if now >= ends_at:
                raise ServiceUnavailable(_CAUSES)
        raise ServiceUnavailable("The sign-in in the browser was given up.")

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            if not self._places.acquire(blocking=False):
                connection.close()
                continue
            thread = threading.Thread(target=self._handle, args=(connection,), daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread can be started
                self._places.release()
                connection.close()

    def _handle(self, connection: socket.socket) -> None:
        try:
            with connection, suppress(OSError):
                head = _read_head(connection)
                reply = self._reply(head)
                connection.settimeout(BROWSER_READ_TIME)
                connection.sendall(_page(reply))
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
        finally:
            self._places.release()

    def _reply(self, head: bytes) -> _Reply:
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        hosts = _values(lines, "host")
        if len(words) != 3 or len(hosts) != 1 or hosts[0] not in self._hosts:  # noqa: PLR2004 - a request line
            return _Reply("400 Bad Request", "This is not the address of a sign-in.")
        if words[0] != "GET":
            return _Reply("405 Method Not Allowed", "This is not the address of a sign-in.")
        return self._take(words[1], is_page=_values(lines, "sec-fetch-dest") in ([], ["document"]))

    def _take(self, target: str, *, is_page: bool) -> _Reply:
        """Take a callback, and return the page for the browser.

        ``is_page`` says whether the browser opens a page. Another site's images and frames are none.
        """
        request = self._request
        if request is None or target.partition("?")[0] != "/callback":
            return _Reply("404 Not Found", "There is nothing here.")
        fields = read_query(target)
        with self._lock:
            if self._over:
                return _Reply("410 Gone", "This sign-in is over. You can close this window.")
            if is_state(request, fields) and (fields.get("code") or fields.get("error")):
                self._over = True
                self._answers.put(target)
                return _Reply("200 OK", _DONE if fields.get("code") else _FAILED)
            # The open-source server, which has a login of its own, sends errors without the state.
            if request.provider is None and is_page and "error" in fields and "state" not in fields:
                if self._failed_at is None:
                    self._failure, self._failed_at = fields["error"], time.monotonic()
                return _Reply("200 OK", f"{_FAILED} The server says: {shown(fields['error'])}.")
        return _Reply("400 Bad Request", "This address does not belong to the sign-in that was begun.")


def _bound(ports: Sequence[int]) -> socket.socket:
    given: object = ports
    listed = list(ports) if isinstance(given, Iterable) else []
    if not listed or not all(type(port) is int and 0 < port < 65_536 for port in listed):  # noqa: PLR2004
        raise ConfigurationError("ports takes the registered ports, such as (8765, 8766, 8767).")
    for port in listed:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if sys.platform == "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
            listening.listen(BROWSER_CONNECTIONS)
        except OSError:
            listening.close()
        else:
            return listening
    addresses = ", ".join(f"http://127.0.0.1:{port}/callback" for port in listed)
    raise ConfigurationError(
        "All ports for the browser sign-in are in use. Close the other sign-in, or register another port"
        f" with the client and pass it as ports. Tried: {addresses}."
    )


def _read_head(connection: socket.socket) -> bytes:
    """Read a request up to its blank line, within the bounds."""
    ends_at = time.monotonic() + BROWSER_READ_TIME
    head = bytearray()
    while b"\r\n\r\n" not in head and len(head) < LONGEST_BROWSER_REQUEST:
        connection.settimeout(max(ends_at - time.monotonic(), 0.001))
        part = connection.recv(4_096)
        if not part:
            break
        head += part
    return bytes(head)


def _values(lines: Sequence[str], name: str) -> list[str]:
    """Return the values of a header, in lower case."""
    headers = (line.partition(":") for line in lines[1:])
    return [value.strip().lower() for found, _, value in headers if found.lower() == name]


def _page(reply: _Reply) -> bytes:
    """Return a response whose page removes the code from the address bar, and loads nothing."""
    nonce = secrets.token_urlsafe(16)
    body = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign-in</title>'
        f'<script nonce="{nonce}">history.replaceState(null, "", "/")</script>'
        f"<main><h1>Sign-in</h1><p>{reply.text}</p></main></html>"
    ).encode()
    head = (
        f"HTTP/1.1 {reply.status}\r\n"
        f"Content-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        f"Content-Security-Policy: default-src 'none'; script-src 'nonce-{nonce}'\r\n"
        "Referrer-Policy: no-referrer\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
