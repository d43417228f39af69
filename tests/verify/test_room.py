"""The room as a whole: its imports, threads, forks, exits, secrets, and its two faces."""

import ast
import asyncio
import copy
import gc
import inspect
import os
import pickle
import ssl
import subprocess
import sys
import threading
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

import hellojohn.verify
from hellojohn import _limits
from hellojohn._errors import (
    ConfigurationError,
    KeysUnavailable,
    TokenExpired,
    TokenInvalid,
    TokenRefusal,
    TokenRevoked,
    UnknownKey,
    WrongAudience,
    WrongIssuer,
    WrongTenant,
)
from hellojohn._http._keys import KeyFetcher
from hellojohn._secret import Secret
from hellojohn._waiting import run
from hellojohn.verify import AsyncRevocations, Revocations, Verifier
from hellojohn.verify._flight import Flight, on_worker
from hellojohn.verify._workers import FETCHERS, Workers
from tests.loopback import Peer, answer, http
from tests.verify.conftest import NOW

ROOM = Path(hellojohn.verify.__file__).parent


def test_the_room_never_imports_the_session_engine():
    """An API that only verifies tokens loads no session, and the layers stay in order."""
    code = "import sys, hellojohn.verify; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(run.stdout.split())
    assert "hellojohn.verify._verifier" in loaded
    assert not {name for name in loaded if name.startswith(("hellojohn._session", "hellojohn._transport"))}
    assert not loaded & {"jwt", "cryptography", "httpx", "asyncio", "trio"}
    for path in ROOM.glob("*.py"):
        imported = {
            node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
        }
        assert not {name for name in imported if name and "_session" in name.split(".")}


def test_every_wait_fits_into_the_next():
    """The limits' comments, as inequalities."""
    assert (
        _limits.QUIET_KEY_WAIT < _limits.KEY_WAIT < _limits.KEY_FETCH_DEADLINE < _limits.KEY_FETCH_ABANDONED
    )
    assert _limits.KEY_FETCH_ABANDONED < _limits.KEY_FETCH_PAUSE <= _limits.SHORTEST_KEY_SOFT_LIFE
    assert _limits.KEY_FETCH_PAUSE < _limits.LONGEST_KEY_FETCH_PAUSE <= _limits.KEY_SOFT_LIFE
    assert _limits.REVOCATION_SYNC < _limits.REVOCATION_SPREAD


@pytest.mark.parametrize("name", ["verify_token", "verify_token_remote"])
def test_both_faces_have_one_signature(name):
    """A program moves from one to the other by adding await."""
    sync, other = (getattr(Verifier, name), getattr(Verifier, f"{name}_async"))
    assert inspect.signature(sync) == inspect.signature(other)
    assert inspect.iscoroutinefunction(other)


@pytest.mark.parametrize("name", ["add", "handle_webhook"])
def test_both_revocations_have_one_signature(name):
    """As above."""
    sync, other = getattr(Revocations, name), getattr(AsyncRevocations, name)
    assert inspect.signature(sync) == inspect.signature(other)
    assert inspect.iscoroutinefunction(other)
    assert sync.__doc__ == other.__doc__


REASONS = [
    (TokenInvalid, TokenRefusal.MALFORMED),
    (TokenExpired, TokenRefusal.EXPIRED),
    (TokenRevoked, TokenRefusal.REVOKED),
    (WrongAudience, TokenRefusal.WRONG_AUDIENCE),
    (WrongIssuer, TokenRefusal.WRONG_ISSUER),
    (WrongTenant, TokenRefusal.WRONG_TENANT),
    (UnknownKey, TokenRefusal.UNKNOWN_KEY),
]


@pytest.mark.parametrize(("kind", "reason"), REASONS)
def test_each_refusal_carries_its_reason(kind, reason):
    """Also through a copy and a pickle."""
    for error in (kind("No."), kind("No.", reason=TokenRefusal.MISSING_CLAIM)):
        for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            assert (type(other), str(other), other.reason) == (kind, "No.", error.reason)
    assert kind("No.").reason is reason


def test_the_refusals_are_the_documented_texts():
    """They are logged and compared by their values."""
    assert set(TokenRefusal) == {
        *("expired", "not_yet_valid", "wrong_audience", "wrong_issuer", "wrong_tenant", "unknown_key"),
        *("bad_signature", "bad_algorithm", "malformed", "missing_claim", "revoked"),
    }


def frames(error):
    """Return the locals of the package's frames in a traceback of ``error``."""
    return [
        repr(frame.f_locals)
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if "hellojohn" in frame.f_globals["__name__"] and not frame.f_globals["__name__"].startswith("tests")
    ]


@pytest.mark.parametrize("case", ["forged", "expired", "unknown", "outage", "bytes"])
def test_no_error_shows_the_token(make, server, signer, stranger, claims, case):  # noqa: PLR0917 - fixtures
    """Neither in its text nor in the locals of its traceback, in both faces."""
    verifier = make()
    token = {
        "forged": lambda: stranger.sign(claims, headers={"kid": "ed-1"}),
        "expired": lambda: signer.sign({**claims, "exp": int(NOW) - 1}),
        "unknown": lambda: stranger.sign(claims),
        "outage": lambda: signer.sign(claims),
        "bytes": lambda: signer.sign(claims).encode(),
    }[case]()
    if case == "outage":
        server.status = 500
    pieces = [piece for piece in (token.decode() if case == "bytes" else token).split(".")[1:] if piece]
    for verify in (
        lambda: verifier.verify_token(token),
        lambda: asyncio.run(verifier.verify_token_async(token)),
    ):
        with pytest.raises((TokenInvalid, KeysUnavailable, TypeError)) as caught:
            verify()
        shown = [repr(caught.value), *frames(caught.value)]
        assert not [piece for piece in pieces for text in shown if piece in text]


def test_a_verifier_shows_no_secret(make):
    """Nor do its parts."""
    verifier = make(secret_key=Secret("sk_live_secret"), webhook_secret=Secret("whsec_secret"))
    parts = [
        verifier,
        verifier.revocations,
        verifier.async_revocations,
        verifier._feed,
        verifier._ask,
        verifier._keys,
    ]
    for part in parts:
        shown = f"{part!r} {part} {getattr(part, '__dict__', '')}"
        assert "sk_live_secret" not in shown
        assert "whsec_secret" not in shown


def test_worker_threads_are_daemons_and_end_when_idle(verifier, signer, claims):
    """Nothing runs while nothing is asked."""
    verifier.verify_token(signer.sign(claims))
    threads = [thread for thread in threading.enumerate() if thread.name == "hellojohn-keys"]
    assert all(thread.daemon for thread in threads)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def test_workers_run_jobs_beyond_their_limit():
    """More jobs than threads wait for their turn."""
    workers, gate, done = Workers("test", 2), threading.Event(), threading.Semaphore(0)
    for _ in range(5):
        assert workers.submit(lambda: (gate.wait(5), done.release()))
    assert workers._running == 2
    gate.set()
    assert all(done.acquire(timeout=5) for _ in range(5))


def test_a_resting_thread_takes_the_next_job():
    """A burst of jobs does not start a thread for each."""
    workers, names = Workers("test", 5), []
    for _ in range(20):
        done = threading.Event()
        assert workers.submit(lambda: names.append(threading.get_ident()))
        assert workers.submit(done.set)
        assert done.wait(5)
    assert len(set(names)) < 20


@pytest.fixture
def no_threads(monkeypatch):
    """Let no thread start."""

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    for thread in threading.enumerate():
        if thread.name.startswith("hellojohn-"):
            thread.join(5)
    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_without_a_thread_the_caller_gets_a_typed_error(make, signer, claims, no_threads):
    """It never blocks an event loop and never hangs."""
    verifier = make()
    with pytest.raises(KeysUnavailable, match="thread"):
        verifier.verify_token(signer.sign(claims))
    with pytest.raises(KeysUnavailable, match="thread"):
        asyncio.run(verifier.verify_token_async(signer.sign(claims)))
    with pytest.raises(Exception, match="thread"):
        run(on_worker(lambda: None))


def test_without_a_thread_old_keys_serve(make, server, clocks, signer, claims, request):  # noqa: PLR0917 - fixtures
    """A background fetch that cannot start changes nothing for callers with a known key."""
    verifier = make()
    token = signer.sign(claims)
    verifier.verify_token(token)
    request.getfixturevalue("no_threads")
    clocks.advance(601)
    assert verifier.verify_token(token).user_id == "usr_1"


def test_an_aborted_flight_does_no_work():
    """And one that has begun is not aborted."""
    ran = []
    flight = Flight(lambda: ran.append(1), FETCHERS)
    assert flight.abort()
    assert not flight.abort()
    assert flight.begin()
    flight.wait(1)
    assert (flight.done, ran) == (True, [])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only on POSIX")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_fetches_what_the_parent_was_fetching(make, server, signer, claims):
    """The parent's thread stayed behind; the child neither hangs nor waits out the pause."""
    verifier, token = make(), signer.sign(claims)
    server.gate.clear()
    waiting = threading.Thread(target=verifier.verify_token, args=(token,))
    waiting.start()
    server.wait_for_fetches(1)
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if verifier.verify_token(token).user_id == "usr_1" else 1)
        except BaseException:  # noqa: BLE001 - the parent reads the exit code
            os._exit(2)
    server.wait_for_fetches(2)
    server.gate.set()
    assert os.waitpid(child, 0)[1] == 0
    waiting.join(10)
    assert len(server.fetches) == 2


def test_exit_is_not_held_up_by_a_hanging_fetch(server):
    """A program that ends while its keys are being fetched ends at once."""
    server.gate.clear()
    code = f"""
import threading, time
from hellojohn._http._keys import KeyFetcher
from hellojohn.verify import Verifier
verifier = Verifier(api="v1", api_url={server.url!r}, tenant_id="t", client_id=None, check_token=None,
                    fetch=KeyFetcher(), send=None, clock=time.time)
token = "eyJhbGciOiJFZERTQSIsImtpZCI6ImsifQ.e30.AA"
threading.Thread(target=verifier.verify_token, args=(token,), daemon=True).start()
input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        server.wait_for_fetches(1)
        child.stdin.write(b"\n")
        child.stdin.close()
        assert child.wait(8) == 0


def test_a_missing_cryptography_names_the_install_line(make, monkeypatch, server, signer, claims):
    """At the first call, and before anything is fetched."""
    token = signer.sign(claims)
    monkeypatch.setattr("jwt.algorithms.has_crypto", False)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r'pip install "hellojohn\[verify\]"'):
            make().verify_token(token)
    assert server.fetches == []


def test_key_sets_without_a_client_are_bounded(make, monkeypatch):
    """A program that makes clients for ever-new URLs does not grow for ever."""
    from hellojohn.verify import _key_set  # noqa: PLC0415 - its registry is looked into

    monkeypatch.setattr(_key_set, "MOST_KEY_SETS", 5)
    monkeypatch.setattr(_key_set, "_registry", _key_set._Registry())
    verifiers = [make(api_url=f"http://127.0.0.1:{port}") for port in range(1, 20)]
    assert len(_key_set._registry._sets) == 5
    assert make(api_url="http://127.0.0.1:19")._keys is verifiers[-1]._keys
    gc.collect()


# ---------------------------------------------------------------- the fetcher


def test_fetchers_with_the_same_settings_are_equal():
    """So that their clients share one key set, and others do not."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    assert KeyFetcher() == KeyFetcher()
    assert KeyFetcher(transport=transport) == KeyFetcher(transport=transport)
    others = [
        KeyFetcher(verify=False),
        KeyFetcher(proxy="http://127.0.0.1:1"),
        KeyFetcher(transport=transport),
    ]
    assert len({KeyFetcher(), *others}) == 4


def test_a_transport_instance_serves_many_fetches():
    """It belongs to the program, and is not closed."""
    closed = []

    class Transport(httpx.MockTransport):
        def close(self):
            closed.append(self)

    fetch = KeyFetcher(transport=Transport(lambda request: httpx.Response(200, content=b"{}")))
    assert [fetch("http://127.0.0.1/", 1)[2] for _ in range(2)] == [b"{}"] * 2
    assert closed == []
    made = KeyFetcher(transport=lambda: Transport(lambda request: httpx.Response(200, content=b"{}")))
    assert made("http://127.0.0.1/", 1)[0] == 200
    assert len(closed) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only on POSIX")
def test_a_transport_instance_serves_its_own_process_only(monkeypatch):
    """The error names the factory."""
    fetch = KeyFetcher(transport=httpx.HTTPTransport(verify=False))
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(ConfigurationError, match="transport=lambda"):
        fetch("http://127.0.0.1/", 1)


def test_a_client_that_cannot_be_built_is_a_configuration_error(tmp_path):
    """Such as from a certificate file that went away."""
    with pytest.raises(ConfigurationError, match="verify"):
        KeyFetcher(verify=str(tmp_path / "gone.pem"))("https://127.0.0.1/", 1)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_document_is_unpacked_within_bounds(coding):
    """Nobody asked for it, and a small answer must not become a huge one."""
    import gzip  # noqa: PLC0415 - two of the tests need them
    import zlib  # noqa: PLC0415

    pack = gzip.compress if coding == "gzip" else zlib.compress
    with Peer(answer(http(pack(b"{}"), f"Content-Encoding: {coding}"))) as peer:
        assert KeyFetcher()(peer.url, 5)[2] == b"{}"
    with (
        Peer(answer(http(pack(b" " * 2_000_000), f"Content-Encoding: {coding}"))) as peer,
        pytest.raises(OSError, match="1 MiB"),
    ):
        KeyFetcher()(peer.url, 5)


def test_a_large_document_is_not_read_to_its_end():
    """A megabyte is enough for a thousand keys."""
    with Peer(answer(http(b" " * 1_048_577))) as peer, pytest.raises(OSError, match="1 MiB"):
        KeyFetcher()(peer.url, 5)


@pytest.mark.parametrize(
    "begin", [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "]
)
def test_an_answer_that_trickles_is_given_up(begin):
    """Each read of its body or its head is quick, and their sum is not."""

    def trickle(connection):
        connection.recv(65_536)
        connection.sendall(begin)
        while not peer.leave.wait(0.02):
            connection.sendall(b" ")

    with Peer(trickle) as peer, pytest.raises((TimeoutError, httpx.TimeoutException)):
        KeyFetcher()(peer.url, 0.2)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Make a certificate for localhost, and return the file with it and its key."""
    from cryptography import x509  # noqa: PLC0415 - one fixture needs them
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, *plain))
    return path


def test_keys_come_over_tls_from_a_trusted_server_only(certificate):
    """A machine in between could otherwise publish a key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def over_tls(connection):
        with context.wrap_socket(connection, server_side=True) as stream:
            answer(http(b"{}"))(stream)

    with Peer(over_tls) as peer:
        url = peer.url.replace("http://127.0.0.1", "https://localhost")
        for verify in (str(certificate), ssl.create_default_context(cafile=certificate), False):
            assert KeyFetcher(verify=verify)(url, 10)[2] == b"{}"
        with pytest.raises(httpx.ConnectError):
            KeyFetcher()(url, 10)
