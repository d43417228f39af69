"""The body of an answer: its bound, its codings, and a body that another layer has already read."""

import gzip
import pickle
import zlib
from functools import partial

import brotli
import httpx
import pytest
import zstandard

from hellojohn._http import _codings
from hellojohn._wire import ApiResponse, Delivery
from tests.http.senders import POST, assert_lost, sending, sent_through, sent_to
from tests.loopback import Peer, answer, http

MIB = 1_048_576
JSON = b'{"access_token": "a", "refresh_token": "r", "name": "Jos\xc3\xa9"}'


def raw_deflate(body: bytes) -> bytes:
    """Compress as some servers do that forget the frame of zlib."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def gz(body: bytes) -> bytes:
    """Compress with gzip, alike each time."""
    return gzip.compress(body, mtime=0)


zstd = zstandard.ZstdCompressor().compress


# Size


def test_body_of_a_mebibyte_is_read():
    """Far more than an answer needs."""
    assert sent_to(answer(http(b"x" * MIB))).body == b"x" * MIB


@pytest.mark.parametrize("size", [MIB + 1, 10 * MIB])
def test_larger_body_is_dropped(size):
    """The status counts, memory does not fill, and half a document is not taken for a whole one."""
    response = sent_to(answer(http(b"x" * size, "Retry-After: 3", status=503)))
    assert (response.status, response.body, response.headers["retry-after"]) == (503, b"", "3")


def test_object_before_endless_padding_is_kept():
    """What follows the object is only white space, however much of it there is."""
    response = sent_to(answer(http(JSON + b" " * 2 * MIB)))
    assert response.body.rstrip() == JSON


@pytest.mark.parametrize("size", [MIB, MIB + 1])
def test_bound_holds_for_a_body_read_below(size):
    """A transport that has the body in memory is held to the same bound."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=b"x" * size))
    assert len(sent_through(transport).body) == (size if size <= MIB else 0)


# Codings

ONE = {
    "gzip": gz(JSON),
    "x-gzip": gz(JSON),
    "deflate": zlib.compress(JSON),
    "br": brotli.compress(JSON),
    "zstd": zstd(JSON),
    "identity": JSON,
    "": JSON,
}


@pytest.mark.parametrize("coding", ONE)
@pytest.mark.parametrize("write", [str, str.upper, str.title, " {} ".format, "{},".format])
def test_coding_is_undone_however_it_is_written(coding, write):
    """Some proxies compress although the client refuses it; the token in the body counts."""
    assert sent_to(answer(http(ONE[coding], f"Content-Encoding: {write(coding)}"))).body == JSON


@pytest.mark.parametrize(
    ("codings", "packed"),
    [
        ("gzip, br", brotli.compress(gz(JSON))),
        ("br, gzip", gz(brotli.compress(JSON))),
        ("gzip,gzip", gz(gz(JSON))),
        ("deflate , x-gzip", gz(zlib.compress(JSON))),
        ("zstd, deflate, br", brotli.compress(zlib.compress(zstd(JSON)))),
        ("identity, gzip, identity", gz(JSON)),
        ("GZip\r\nContent-Encoding: BR", brotli.compress(gz(JSON))),
        ("gzip, aws-chunked", gz(JSON)),
        ("aws-chunked, gzip", gz(JSON)),
    ],
)
def test_codings_in_a_list_are_undone_in_order(codings, packed):
    """The last one was applied last, and is the first to be undone; unknown ones are skipped."""
    assert sent_to(answer(http(packed, f"Content-Encoding: {codings}"))).body == JSON


@pytest.mark.parametrize(
    "coding",
    ["gzip", "deflate", "br", "zstd", "gzip, br", "utf-8", "none", "aws-chunked", "compress", "\xe9", ","],
)
@pytest.mark.parametrize("body", [JSON, b"{}"])  # "{}" is also the beginning of a deflate stream
def test_coding_that_was_not_applied_is_ignored(coding, body):
    """A proxy that unpacks a body may forget to take the header away."""
    assert sent_to(answer(http(body, f"Content-Encoding: {coding}"))).body == body


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("deflate", raw_deflate(JSON)),
        ("deflate", gz(JSON)),
        ("gzip", zlib.compress(JSON)),
        ("gzip", gz(JSON) + b"\0" * 512),
        ("gzip", gz(JSON[:20]) + gz(JSON[20:])),
        ("zstd", zstd(JSON[:20]) + zstd(JSON[20:])),
    ],
)
def test_usual_mistakes_of_servers_are_understood(coding, packed):
    """Gzip and zlib are mixed up, padded, or written as several streams."""
    assert sent_to(answer(http(packed, f"Content-Encoding: {coding}"))).body == JSON


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gz(JSON)[:-4]),
        ("gzip", gz(JSON)[:-8]),
        ("deflate", zlib.compress(JSON)[:-4]),
        ("zstd", zstandard.ZstdCompressor(write_checksum=True).compress(JSON)[:-4]),
    ],
)
def test_object_in_a_damaged_coding_is_kept(coding, packed):
    """The checksum is missing, and the object is whole."""
    assert sent_to(answer(http(packed, f"Content-Encoding: {coding}"))).body == JSON


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gz(JSON)[:-30]),
        ("gzip", gz(JSON)[:-8] + b"\0" * 8),
        ("gzip", b"not gzip at all"),
        ("deflate", b""),
        ("br", brotli.compress(JSON)[:-20]),
        ("zstd", zstd(JSON)[:-20]),
        ("gzip, gzip", gz(gz(JSON)[:-30])),
    ],
)
def test_cut_coding_yields_no_object(coding, packed):
    """Half a document never looks like a whole one."""
    response = sent_to(answer(http(packed, f"Content-Encoding: {coding}")))
    assert isinstance(response, ApiResponse)
    assert not _codings.is_json_object(response.body)


FLOOD = b" " * 20 * MIB


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gz), ("deflate", raw_deflate), ("br", partial(brotli.compress, quality=1)), ("zstd", zstd)],
)
def test_bomb_is_not_unpacked(coding, pack):
    """A few bytes that unpack to 20 MiB leave no body."""
    response = sent_to(answer(http(pack(FLOOD), f"Content-Encoding: {coding}")))
    assert (response.status, response.body) == (200, b"")


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_coding_without_its_library_is_skipped(monkeypatch, coding):
    """The libraries are optional, and a body that needs one cannot be read without."""
    monkeypatch.delitem(_codings._DECODERS, coding)
    assert sent_to(answer(http(ONE[coding], f"Content-Encoding: {coding}"))).body == ONE[coding]
    assert sent_to(answer(http(JSON, f"Content-Encoding: {coding}"))).body == JSON


# A body that another layer has read


class Reading(httpx.BaseTransport):
    """Reads each answer before it passes it on, as a transport does that logs."""

    def __init__(self, read) -> None:
        self._inner = httpx.HTTPTransport()
        self._read = read

    def handle_request(self, request):
        """Pass the request on and read the answer."""
        response = self._inner.handle_request(request)
        response.request = request
        return self._read(response)

    def close(self):
        """Close the connections."""
        self._inner.close()


class Hooked(httpx.BaseTransport):
    """Sends with a client whose hook reads each answer."""

    def __init__(self) -> None:
        self._client = httpx.Client(event_hooks={"response": [httpx.Response.read]})

    def handle_request(self, request):
        """Send it."""
        return self._client.send(request)

    def close(self):
        """Close the connections, and be ready for more."""
        self._client._transport.close()


def read_text(response):
    """Log the text."""
    response.read()
    return response if response.text is not None else None


def read_and_close(response):
    """Log the body, and close early."""
    response.read()
    response.close()
    return response


def copy(response):
    """Keep the answer in a cache on disk."""
    response.read()
    return pickle.loads(pickle.dumps(response))


def with_content(response):
    """Make an answer of the same bytes."""
    return httpx.Response(200, headers=response.headers, content=b"".join(response.iter_raw()))


def with_pieces(response):
    """Make an answer of the same pieces."""
    return httpx.Response(200, headers=response.headers, content=iter(list(response.iter_raw())))


def with_stream(response):
    """Make an answer of the same stream."""
    return httpx.Response(200, headers=response.headers, stream=response.stream)


def read(response):
    """Log the body."""
    response.read()
    return response


READERS = (read, read_text, read_and_close, copy, with_content, with_pieces, with_stream)
TRANSPORTS = {"hook": Hooked, **{read.__name__: partial(Reading, read) for read in READERS}}


@pytest.mark.parametrize(
    "coding", ["identity", "gzip", "GZIP", "x-gzip", "gzip, br", "zstd", "identity, gzip"]
)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_body_read_below_is_kept(transport, coding):
    """A transport may log the body or have it from a cache, and httpx has undone some codings then."""
    packed = {**ONE, "gzip, br": brotli.compress(gz(JSON)), "identity, gzip": gz(JSON)}
    body = packed[coding if "," in coding else coding.lower()]
    reply = answer(http(body, f"Content-Encoding: {coding}"))
    with Peer(reply) as peer, sending(peer, transport=TRANSPORTS[transport]()) as sender:
        for _ in range(2):
            response = sender.send(POST)
            assert (response.status, response.body) == (200, JSON)


@pytest.mark.parametrize(("status", "kept"), [(200, False), (401, False), (429, True), (503, True)])
def test_body_that_a_layer_below_swallowed_is_missing(status, kept):
    """A status that decides by itself counts; a success without its body is not an answer."""

    def swallow(response):
        for _ in response.iter_raw():
            pass
        return response

    with Peer(answer(http(JSON, status=status))) as peer, sending(peer, transport=Reading(swallow)) as sender:
        response = sender.send(POST)
    if kept:
        assert (response.status, response.body) == (status, b"")
    else:
        assert_lost(response, Delivery.UNKNOWN, "ResponseNotRead")


@pytest.mark.parametrize("content", [JSON, b"", b"<html>"])
def test_content_of_a_transport_in_memory_is_kept(content):
    """Such transports serve in tests and behind gateways."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=content))
    assert sent_through(transport).body == content


class BrokenClose(httpx.SyncByteStream):
    """A body that arrives whole and cannot be closed."""

    def __iter__(self):
        """Yield the body."""
        yield b"{}"

    def close(self):
        """Fail."""
        raise OSError


def test_whole_answer_counts_when_its_connection_does_not_close():
    """A token that has arrived is not thrown away because of a socket."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=BrokenClose()))
    assert sent_through(transport).body == b"{}"
