"""What the measurements share: a server that answers at once, a signed-in client, and medians."""

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from statistics import median

from hellojohn import HelloJohn
from hellojohn.emulator import Emulator

DEMO = ("demo@example.com", "correct horse battery staple")
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def quick_server() -> Iterator[str]:
    """Run a server in a process of its own that answers every request with ``{}``; yield its URL."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


@contextmanager
def signed_in() -> Iterator[tuple[HelloJohn, Emulator]]:
    """Yield a client with a fresh session, and its emulator."""
    with Emulator(port=0) as emulator, HelloJohn(**settings(emulator)) as hj:
        hj.auth.sign_in(*DEMO, remember_me=True)
        yield hj, emulator


def settings(emulator: Emulator) -> dict[str, str]:
    """Return what a client needs to talk to the emulator."""
    return {
        "api_url": emulator.url,
        "tenant_id": emulator.tenant_id,
        "publishable_key": emulator.publishable_key,
    }


def ratio(ours: list[float], baseline: list[float]) -> str:
    """Say both medians, in microseconds, and how they compare."""
    mine, theirs = median(ours), median(baseline)
    return f"{mine * 1e6:9.2f} us / {theirs * 1e6:9.2f} us = {mine / theirs:.3f}"


class _AnswerAtOnce(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._waiting = b""

    def data_received(self, data: bytes) -> None:
        *requests, self._waiting = (self._waiting + data).split(b"\r\n\r\n")
        assert isinstance(self._transport, asyncio.WriteTransport)
        self._transport.write(_ANSWER * len(requests))


def _serve(pipe: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_AnswerAtOnce, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())
