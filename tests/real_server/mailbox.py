"""A mail server that keeps the mails it receives."""

import email
import re
import socketserver
import threading
from email.message import Message
from email.policy import default
from typing import Any, Self

from tests.both_faces import until


class Mailbox:
    """Receives mails, and returns the links in them.

    Attributes:
        mails: The mails that came, with the addresses they went to.
    """

    def __init__(self, host: str, port: int) -> None:
        """Listen on an address."""
        self.mails: list[tuple[str, Message]] = []
        self._server = _Server((host, port), _Session)
        self._server.mailbox = self
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def __len__(self) -> int:
        """Return how many mails are there."""
        return len(self.mails)

    def link(self, address: str) -> str:
        """Wait for a mail to an address, take it out, and return its link."""
        found: list[tuple[str, Message]] = []

        def has_come() -> bool:
            found[:] = [mail for mail in self.mails if mail[0] == address.lower()]
            return bool(found)

        until(has_come)
        self.mails.remove(found[0])
        body: Any = found[0][1]
        text = body.get_body(("plain", "html")).get_content()
        links: list[str] = re.findall(r"https?://[^\s\"'<>]+token=[^\s\"'<>&]+", text.replace("&amp;", "&"))
        return links[0]


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    mailbox: Mailbox


class _Session(socketserver.StreamRequestHandler):
    """As much of SMTP as a client without TLS and without a login needs."""

    timeout = 20
    server: _Server

    def handle(self) -> None:
        self._say("220 mailbox")
        receivers: list[str] = []
        while line := self.rfile.readline().decode().strip():
            match line.partition(":")[0].upper().split():
                case ["RCPT", "TO"]:
                    receivers.append(line.partition("<")[2].partition(">")[0].lower())
                    self._say("250 ok")
                case ["DATA"]:
                    self._say("354 go on")
                    self._keep(receivers)
                    self._say("250 kept")
                case ["QUIT"]:
                    self._say("221 bye")
                    return
                case _:
                    self._say("250 mailbox")

    def _keep(self, receivers: list[str]) -> None:
        lines = iter(self.rfile.readline, b".\r\n")
        raw = b"".join(line.removeprefix(b".") if line.startswith(b"..") else line for line in lines)
        mail = email.message_from_bytes(raw, policy=default)
        self.server.mailbox.mails.extend((receiver, mail) for receiver in receivers)

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())
