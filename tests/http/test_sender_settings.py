"""Settings that cannot be used are refused where they are made, with words that say what to do."""

import subprocess
import sys

import httpx
import pytest

from hellojohn._errors import ConfigurationError
from hellojohn._http import Sender
from hellojohn._wire import ApiResponse
from tests.http.senders import LATE, MARK, POST, sending
from tests.loopback import Peer, answer


async def asynchronous_factory():
    """Return a coroutine, which the sender cannot use."""


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"timeout": 0}, "timeout must be seconds"),
        ({"timeout": -1.0}, "timeout must be seconds"),
        ({"timeout": float("nan")}, "timeout must be seconds"),
        ({"timeout": float("inf")}, "timeout must be seconds"),
        ({"timeout": "soon"}, "timeout must be seconds"),
        ({"timeout": True}, "timeout must be seconds"),
        ({"timeout": (1.0,)}, "timeout must be seconds"),
        ({"verify": 7}, "verify must be True"),
        ({"verify": None}, "verify must be True"),
        ({"verify": "/no/such/file.pem"}, "'/no/such/file.pem' does not exist"),
        ({"proxy": "nonsense"}, "proxy must be an address"),
        ({"proxy": "http://user:MARKED-SECRET@host:port"}, "proxy must be an address"),
        ({"proxy": "gopher://user:MARKED-SECRET@host"}, "proxy must be an address"),
        ({"proxy": 7}, "proxy must be an address"),
        ({"proxy": "http://"}, "proxy must be an address"),
        ({"transport": httpx.AsyncHTTPTransport()}, r"transport must be .* It is AsyncHTTPTransport"),
        ({"transport": httpx.AsyncHTTPTransport}, "It is AsyncHTTPTransport"),
        ({"transport": httpx.Client}, "It is Client"),
        ({"transport": asynchronous_factory}, "It is function"),
        ({"transport": "http"}, "It is str"),
        ({"transport": httpx.HTTPTransport, "proxy": "http://127.0.0.1"}, "transport and proxy exclude"),
    ],
)
def test_unusable_setting_is_refused_where_it_is_made(settings, words):
    """Otherwise it would fail at the first request, on a thread far away."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        Sender("https://api.test", **settings)
    assert MARK not in str(caught.value)


@pytest.mark.parametrize("url", ["https://api.test:port", "https://a\x00b"])
def test_address_that_is_none_is_refused(url):
    """The settings find most of them earlier, with the same words."""
    with pytest.raises(ConfigurationError, match=r"api_url .*HELLOJOHN_API_URL"):
        Sender(url)


# Transports


@pytest.mark.parametrize(
    "transport",
    [
        httpx.HTTPTransport(),
        httpx.HTTPTransport,
        lambda: httpx.HTTPTransport(retries=1),
        type("Own", (httpx.HTTPTransport,), {}),
    ],
)
def test_transport_may_be_an_instance_or_a_factory(transport):
    """A class is a factory, too."""
    with Peer(answer()) as peer, sending(peer, transport=transport) as sender:
        for _ in range(2):
            assert isinstance(sender.send(POST, deadline=LATE), ApiResponse)
        assert peer.connections == 1


def test_factory_is_called_once():
    """It is called when the first request is prepared, and after a close again."""
    made = []

    def make():
        made.append(httpx.MockTransport(lambda request: httpx.Response(200)))
        return made[-1]

    sender = Sender("http://api.test", transport=make)
    assert not made
    sender.prepare()
    sender.send(POST)
    sender.prepare()
    assert len(made) == 1
    sender.close()
    sender.send(POST)
    assert len(made) == 2


def fail():
    """Raise an error with a secret."""
    raise RuntimeError(MARK)


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (fail, "raised RuntimeError"),
        (lambda: None, "returned NoneType"),
        (lambda: httpx.AsyncHTTPTransport(), "returned AsyncHTTPTransport"),  # noqa: PLW0108
        (lambda needed: None, "raised TypeError"),
    ],
)
def test_factory_that_does_not_work_is_named(factory, words):
    """What went wrong is known before anything is sent."""
    sender = Sender("https://api.test", transport=factory)
    for call in (sender.prepare, lambda: sender.send(POST)):
        with pytest.raises(ConfigurationError, match=f"factory given as transport {words}") as caught:
            call()
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        assert MARK not in str(caught.value)


def test_transport_of_the_user_is_wrapped_once():
    """Closing and opening again does not wrap the wrapper."""
    transport = httpx.HTTPTransport()
    with Peer(answer()) as peer, sending(peer, transport=transport) as sender:
        sender.send(POST)
        backend = transport._pool._network_backend
        sender.close()
        sender.send(POST)
        assert transport._pool._network_backend is backend


def test_sender_is_cheap_to_make():
    """No certificate and no socket code is loaded before the first request."""
    code = "import sys, hellojohn._http as h; h.Sender('http://x'); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = run.stdout.split()
    assert "hellojohn._http._sender" in loaded
    assert "hellojohn._http._sockets" not in loaded
