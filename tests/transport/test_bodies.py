"""A repeated request has the body of the first, byte for byte, or there is none. Real sockets."""

# ruff: noqa: D102 - the files of this module have a file's methods

import io
import itertools
import os
import tempfile
from collections import deque

import pytest

from tests.both_faces import settle
from tests.transport.backend import EARLY, UNAUTHORIZED, Say
from tests.transport.kinds import KINDS

CONTENT = bytes(range(256)) * 600
"""Longer than one chunk of httpx."""
CHUNKED = {"Transfer-Encoding": "chunked"}
"""For files whose size the library cannot find out, or gets wrong."""


@pytest.fixture
async def api(kind, hj, backend):
    """Return a client of the app, for the backend, which refuses the first request."""
    client = kind.wrapped(hj, base_url=backend.url)
    backend.script = lambda seen: Say(body=b"fine") if len(backend.seen) else UNAUTHORIZED
    yield client
    await kind.close(client)


class Plain(io.BytesIO):
    """A file that a test can follow."""


class ClosesItself(io.BytesIO):
    """A file that closes itself at its end, as downloads do."""

    def read(self, size=-1):
        part = super().read(size)
        if not part:
            self.close()
        return part


class OneWay(io.RawIOBase):
    """A file that can be read once, such as a socket's."""

    def __init__(self, content):
        self._inner = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._inner.readinto(buffer)


class Bare:
    """A file with nothing but ``read``."""

    def __init__(self, content):
        self.read = io.BytesIO(content).read

    def __iter__(self):
        return iter(self.read, b"")


class NoTell(Bare):
    """A file that claims more than it can."""

    def seekable(self):
        return True


class Odd(Bare):
    """A file that fails at a harmless question."""

    def seekable(self):
        raise NotImplementedError


class Tells(Bare):
    """A file that cannot go back after all."""

    def seekable(self):
        return True

    def tell(self):
        return 0

    def seek(self, offset, whence=0):
        raise io.UnsupportedOperation


class Stays(Tells):
    """A file that reports that it went back, and did not."""

    def __init__(self, content):
        self._inner = io.BytesIO(content)
        self.read, self.tell = self._inner.read, self._inner.tell

    def seek(self, offset, whence=0):
        return offset


class AsyncFile:
    """A file whose methods are awaited, as those of anyio and aiofiles."""

    def __init__(self, content):
        self._inner = io.BytesIO(content)

    async def seekable(self):
        return True

    async def tell(self):
        return self._inner.tell()

    async def seek(self, offset):
        return self._inner.seek(offset)

    async def __aiter__(self):
        while part := self._inner.read(65_536):
            yield part


async def parts():
    """Yield the content once."""
    yield CONTENT
    yield CONTENT


def pipe():
    """Return the reading end of a pipe that holds some content."""
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    return os.fdopen(reading, "rb")


def spooled():
    """Return a temporary file as frameworks keep uploads in."""
    file = tempfile.SpooledTemporaryFile()  # noqa: SIM115 - closed with the body
    file.write(CONTENT)
    file.seek(0)
    return file


REPEATABLE = {
    "nothing": dict,
    "bytes": lambda: {"content": CONTENT},
    "no bytes": lambda: {"content": b""},
    "text": lambda: {"content": "na\u00efve \u2603"},
    "form": lambda: {"data": {"a": "1", "b": ["2", "3"]}},
    "JSON": lambda: {"json": {"a": [1, None, "\u2603"]}},
    "multipart values": lambda: {"files": {"a": b"some", "b": ("name.txt", b"more", "text/plain")}},
    "multipart text": lambda: {"files": {"a": ("name", "text")}},
    "multipart and form": lambda: {"data": {"x": "1"}, "files": [("a", b"1"), ("a", b"2")]},
    "multipart file": lambda: {"files": {"a": Plain(CONTENT)}},
    "multipart temporary file": lambda: {"files": {"a": spooled()}},
    "multipart twice the same file": lambda: {"files": dict.fromkeys("ab", Plain(CONTENT))},
}
REPEATABLE_WHEN_BLOCKING = {
    "file": lambda: {"content": Plain(CONTENT)},
    "temporary file": lambda: {"content": spooled()},
    "list": lambda: {"content": [b"some", b"", CONTENT]},
    "tuple": lambda: {"content": (CONTENT, b"more")},
}
ONE_SHOT = {
    "multipart file that cannot go back": lambda: {"files": {"a": Tells(CONTENT)}},
    "multipart one-way file": lambda: {"files": {"a": OneWay(CONTENT)}},
    "multipart bare file": lambda: {"files": {"a": Bare(CONTENT)}},
    "multipart odd file": lambda: {"files": {"a": Odd(CONTENT)}},
    "multipart mixed": lambda: {"files": {"a": Plain(CONTENT), "b": OneWay(CONTENT)}},
    "multipart file that closes itself": lambda: {"files": {"a": ClosesItself(CONTENT)}},
}
ONE_SHOT_WHEN_BLOCKING = {
    "generator": lambda: {"content": (part for part in [b"some", CONTENT])},
    "iterator": lambda: {"content": iter([b"some", CONTENT])},
    "chain": lambda: {"content": itertools.chain([b"some"], [CONTENT])},
    "map": lambda: {"content": map(bytes, [b"some", CONTENT])},
    "own iterable": lambda: {"content": deque([b"some", CONTENT])},
    "pipe": lambda: {"content": pipe(), "headers": CHUNKED},
    "one-way file": lambda: {"content": OneWay(CONTENT)},
    "bare file": lambda: {"content": Bare(CONTENT)},
    "file without tell": lambda: {"content": NoTell(CONTENT)},
    "odd file": lambda: {"content": Odd(CONTENT)},
    "file that cannot go back": lambda: {"content": Tells(CONTENT)},
    "file that stays": lambda: {"content": Stays(CONTENT), "headers": CHUNKED},
    "file that closes itself": lambda: {"content": ClosesItself(CONTENT)},
}
ONE_SHOT_WHEN_AWAITING = {
    "async generator": lambda: {"content": parts()},
    "async file": lambda: {"content": AsyncFile(CONTENT)},
}


def repeatable(kind):
    """Return the bodies that this kind of client can send twice."""
    return REPEATABLE if kind.is_async else REPEATABLE | REPEATABLE_WHEN_BLOCKING


def one_shot(kind):
    """Return the bodies that this kind of client can send once."""
    return ONE_SHOT | (ONE_SHOT_WHEN_AWAITING if kind.is_async else ONE_SHOT_WHEN_BLOCKING)


def each(bodies):
    """Run a test with each of the bodies that a kind of client takes."""
    cases = [
        pytest.param(kind, make, id=f"{kind}-{name}") for kind in KINDS for name, make in bodies(kind).items()
    ]
    return pytest.mark.parametrize(("kind", "make"), cases)


def files_in(body):
    """Return every file of a body."""
    files = body.get("files", {})
    return [body.get("content"), *(files.values() if isinstance(files, dict) else [])]


@pytest.fixture
def body(make):
    """Return a body, whose files are closed afterwards."""
    body = make()
    yield body
    for file in files_in(body):
        if hasattr(file, "close"):
            file.close()


@each(repeatable)
async def test_body_that_can_be_sent_again_is(api, backend, emulator, body):
    """A refused upload is repeated byte for byte, and the app sees only the second answer."""
    response = await settle(api.post("/x", **body))
    assert response.text == "fine"
    first, second = backend.seen
    assert first.digest == second.digest
    assert first.body is not None
    assert first.token != second.token
    assert emulator.calls("token/refresh") == 1


@each(one_shot)
async def test_one_shot_body_is_not_sent_again(api, backend, emulator, body):
    """For a body that was consumed the token is refreshed, and the app gets the 401."""
    response = await settle(api.post("/x", **body))
    assert (response.status_code, response.json()) == (401, {"error": {"code": "invalid_token"}})
    assert emulator.calls("token/refresh") == 1
    assert (await settle(api.get("/next"))).status_code == 200
    first, second = backend.seen
    assert first.body
    assert first.token != second.token
    assert emulator.calls("token/refresh") == 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.is_async], ids=str)
async def test_file_is_sent_again_from_its_position(api, backend):
    """A file whose header the app has read is sent from behind it, both times."""
    file = io.BytesIO(b"header" + CONTENT)
    file.seek(6)
    response = api.post("/x", content=file, headers={"Content-Length": str(len(CONTENT))})
    assert response.text == "fine"
    assert [seen.body == CONTENT for seen in backend.seen] == [True, True]


async def test_file_on_disk_is_sent_again(api, backend, tmp_path):
    """An open file in a form is sent again."""
    path = tmp_path / "upload.bin"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        response = await settle(api.post("/x", files={"upload": file}))
    assert response.text == "fine"
    first, second = backend.seen
    assert CONTENT in first.body
    assert first.digest == second.digest


@pytest.mark.parametrize("size", [10, 4_000_000])
async def test_upload_refused_before_it_was_read(kind, api, backend, size):
    """A server may refuse by the headers alone and close: the upload is repeated."""
    content = b"x" * size
    try:
        response = await settle(api.post("/x", content=content, headers={EARLY: "1"}))
    except kind.library.TransportError:
        assert size > 1_000_000, "only a body too long for the socket's buffer may break"
        return
    assert response.text == "fine"
    assert len(backend.seen) == 2


@pytest.mark.parametrize("base", ["ByteStream", "SyncByteStream"])
async def test_stream_of_the_app_is_not_sent_again(kind, api, backend, base):
    """A stream class of the app may be readable once only, whatever it derives from."""
    library = kind.library

    class Own(getattr(library, base), library.AsyncByteStream):
        def __init__(self):
            self._stream = [b"a", b"b"]
            self.fields = [("name", self._stream)]

        def __iter__(self):
            while self._stream:
                yield self._stream.pop(0)

        async def __aiter__(self):
            while self._stream:
                yield self._stream.pop(0)

    headers = {"Host": "x", "Content-Length": "2"}
    request = library.Request("POST", f"{backend.url}/x", stream=Own(), headers=headers)
    response = await settle(api.send(request))
    assert response.status_code == 401
    assert [seen.body for seen in backend.seen] == [b"ab"]
