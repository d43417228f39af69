"""The auth for requests keeps to the rules of the httpx hook: pinned origins, one refresh, one repetition."""

import builtins
import copy
import io
import pickle
import sys
import threading
from contextlib import suppress
from datetime import timedelta

import pytest
import requests

from hellojohn import ConfigurationError, ExpiryReason, HelloJohn, SessionExpired
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.both_faces import emulated, in_thread
from tests.loopback import Peer, http, read_request
from tests.transport.backend import UNAUTHORIZED, Say, to


@pytest.fixture
def hj(emulator):
    """Return a client that is signed in."""
    with HelloJohn(**emulated(emulator)) as hj:
        hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        yield hj


@pytest.fixture
def session(hj, backend):
    """Return a session of requests whose requests to the backend carry the token."""
    with requests.Session() as session:
        session.auth = hj.requests_auth(origins=[backend.url])
        yield session


def url(peer):
    """Return the address of a peer."""
    return f"http://127.0.0.1:{peer.port}"


def refuse_first(count=1, *, say=UNAUTHORIZED):
    """Return a script that refuses so many requests and accepts the rest."""
    came = []

    def script(seen):
        came.append(seen)
        return say if len(came) <= count else Say(body=b"fine")

    return script


def test_an_expired_token_is_replaced_first(session, emulator, backend, hj):
    """The request carries the new token."""
    emulator.advance("2h")
    assert session.get(f"{backend.url}/x").status_code == 200
    assert backend.tokens == [f"Bearer {hj.auth.access_token()}"]
    assert emulator.calls("token/refresh") == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_refused_request_is_repeated_once(session, emulator, backend, stream):
    """After a 401 the app sees the second answer, which a new token brought."""
    backend.script = refuse_first()
    response = session.post(f"{backend.url}/x", json={"n": 1}, stream=stream)
    assert (response.status_code, response.text) == (200, "fine")
    assert [answer.status_code for answer in response.history] == [401]
    first, second = backend.seen
    assert first.token != second.token
    assert [answer.request.headers["Authorization"] for answer in response.history] == [first.token]
    assert (first.method, first.digest) == (second.method, second.digest)
    assert emulator.calls("token/refresh") == 1


def test_a_second_401_is_returned(session, emulator, backend):
    """No loop and no storm follows: each later request costs no refresh."""
    backend.script = lambda seen: UNAUTHORIZED
    for _ in range(3):
        response = session.get(f"{backend.url}/x")
        assert (response.status_code, response.json()) == (401, {"error": {"code": "invalid_token"}})
    assert (len(backend.seen), emulator.calls("token/refresh")) == (4, 1)


@pytest.mark.parametrize("challenge", ['Bearer error="insufficient_scope"', 'Basic realm="x"'])
def test_other_challenges_cause_no_refresh(session, emulator, backend, challenge):
    """A newer token does not help with a missing scope."""
    backend.script = lambda seen: Say(401, b"", {"WWW-Authenticate": challenge})
    assert session.get(f"{backend.url}/x").status_code == 401
    assert (len(backend.seen), emulator.calls("token/refresh")) == (1, 0)


BODIES = {
    "text": (lambda: "text", b"text"),
    "form": (lambda: {"a": "b"}, b"a=b"),
    "file": (lambda: io.BytesIO(b"file"), b"file"),
    "generator": (lambda: iter([b"gen", b"erator"]), None),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_sent_again_if_it_can_be(session, emulator, backend, name):
    """A file goes on from where it began. A generator is used up, so the 401 goes to the app, whole."""
    make, whole = BODIES[name]
    backend.script = refuse_first()
    response = session.post(f"{backend.url}/x", data=make())
    if whole is None:
        assert (response.status_code, response.json()) == (401, {"error": {"code": "invalid_token"}})
        assert len(backend.seen) == 1
    else:
        assert response.text == "fine"
        assert [seen.body for seen in backend.seen] == [whole, whole]
    assert emulator.calls("token/refresh") == 1


def test_the_token_goes_to_allowed_origins_only(session, backend, stranger):
    """A whole URL, a redirect and a misleading address carry no token elsewhere."""
    session.get(f"{stranger.url}/x")
    backend.script = lambda seen: to(f"{stranger.url}/y", 302)
    session.get(f"{backend.url}/x")
    host = f"127.0.0.1:{stranger.port}"
    for address in (f"http://127.0.0.1:{backend.port}@{host}/", f"{backend.url}\\@{host}/"):
        try:
            session.get(address)
        except requests.RequestException:
            continue
    assert [token for token in stranger.tokens if token] == []
    assert all(backend.tokens)


def test_a_strangers_401_costs_nothing(session, emulator, backend, stranger):
    """After a redirect, the 401 is not about the token."""
    backend.script = lambda seen: to(f"{stranger.url}/y", 302)
    stranger.script = lambda seen: UNAUTHORIZED
    assert session.get(f"{backend.url}/x").status_code == 401
    assert (stranger.tokens, emulator.calls("token/refresh")) == ([None], 0)


def test_the_request_after_a_redirect_is_repeated(session, emulator, backend):
    """The redirected request was refused, and not the first one, which was carried out."""
    refuse = refuse_first()
    backend.script = lambda seen: to("/there", 303) if seen.target == "/x" else refuse(seen)
    assert session.post(f"{backend.url}/x", data="once").text == "fine"
    assert [(seen.method, seen.target) for seen in backend.seen] == [
        ("POST", "/x"),
        ("GET", "/there"),
        ("GET", "/there"),
    ]
    assert emulator.calls("token/refresh") == 1


def test_a_redirect_after_a_repetition(session, emulator, backend, stranger):
    """It carries the new token, and none to a stranger."""
    answers = iter([UNAUTHORIZED, to("/there", 307), to(f"{stranger.url}/y", 302)])
    backend.script = lambda seen: next(answers)
    session.post(f"{backend.url}/x", data="again")
    old, new, there = backend.tokens
    assert old != new == there
    assert [seen.body for seen in backend.seen] == [b"again"] * 3
    assert stranger.tokens == [None]
    assert emulator.calls("token/refresh") == 1


def test_a_redirect_after_a_repetition_is_repeated(session, emulator, backend, hj):
    """A token that is refused after a repetition and a redirect is replaced if there is a newer one."""

    def refuse_once_more():
        hj.auth.refresh()
        return UNAUTHORIZED

    answers = iter([lambda: UNAUTHORIZED, lambda: to("/there", 303), refuse_once_more, Say])
    backend.script = lambda seen: next(answers)()
    assert session.get(f"{backend.url}/x").status_code == 200
    first, second, third, last = backend.tokens
    assert first != second == third != last == f"Bearer {hj.auth.access_token()}"
    assert emulator.calls("token/refresh") == 2


def test_the_apps_own_header_wins(session, emulator, backend):
    """Such a request is left alone, its 401 too."""
    backend.script = lambda seen: UNAUTHORIZED
    session.get(f"{backend.url}/x", headers={"authorization": "Bearer theirs"})
    assert (backend.tokens, emulator.calls("token/refresh")) == (["Bearer theirs"], 0)


def test_many_refused_requests_cost_one_refresh(session, emulator, backend, hj):
    """All threads wait for the same refresh."""
    old = f"Bearer {hj.auth.access_token()}"
    backend.script = lambda seen: UNAUTHORIZED if seen.token == old else Say(body=b"fine")
    together = threading.Barrier(10)

    def ask():
        together.wait()
        return session.get(f"{backend.url}/x").text

    asking = [in_thread(ask) for _ in range(10)]
    assert {answer() for answer in asking} == {"fine"}
    assert emulator.calls("token/refresh") == 1


def test_the_end_of_the_session_comes_out_of_the_call(session, emulator, backend, hj):
    """It is raised with its reason, before the request and after a 401."""
    emulator.revoke(hj.auth.session().id)
    backend.script = lambda seen: UNAUTHORIZED
    for _ in range(2):
        with pytest.raises(SessionExpired) as caught:
            session.get(f"{backend.url}/x")
        assert caught.value.reason is ExpiryReason.REVOKED
    assert len(backend.seen) == 1


def test_a_request_is_not_repeated_as_another_user(session, emulator, backend, hj):
    """Another sign-in on the account must not send the first user's request."""
    emulator.add_user("bob@example.com", "bob's password")

    def script(seen):
        hj.auth.sign_in("bob@example.com", "bob's password")
        return UNAUTHORIZED

    backend.script = script
    assert session.post(f"{backend.url}/x", data="demo's").status_code == 401
    assert len(backend.seen) == 1


def test_a_refusal_is_read_and_its_connection_used_again(session, backend):
    """The app finds the reason in the history, and the time of the second attempt."""
    backend.script = refuse_first()
    response = session.get(f"{backend.url}/x", stream=True)
    assert response.history[0].json() == {"error": {"code": "invalid_token"}}
    assert response.elapsed > timedelta()
    assert backend.connections == 1


def cut_off(body, *headers):
    """Return a refusal that announces more than it brings."""
    return http(body, *headers, status=401).replace(b"Content-Length: %d" % len(body), b"Content-Length: 999")


@pytest.mark.parametrize("encoding", [[], ["Content-Encoding: gzip"]])
def test_a_refusal_that_breaks_off_is_repeated(hj, encoding):
    """Its body is of no use to anybody."""
    answers = [cut_off(b"half", *encoding), http(b"fine")]

    def handler(connection):
        read_request(connection)
        connection.sendall(answers.pop(0))

    with Peer(handler) as peer:
        response = requests.get(url(peer), auth=hj.requests_auth(origins=[url(peer)]), timeout=5)
        assert response.text == "fine"


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_refusal_that_the_app_gets_is_whole(session, backend, size):
    """A token of a moment ago is not replaced, and the app may show the reason."""
    backend.script = lambda seen: Say(401, b"x" * size, {"WWW-Authenticate": "Bearer"})
    for _ in range(2):
        response = session.get(f"{backend.url}/x")
        assert (response.status_code, len(response.content)) == (401, size)


def test_a_refusal_that_broke_off_is_not_empty(hj):
    """Its content is an error for the app that gets it."""

    def handler(connection):
        while read_request(connection):
            connection.sendall(cut_off(b"half"))
            return

    with Peer(handler) as peer, pytest.raises(RuntimeError, match="content"):
        requests.get(url(peer), auth=hj.requests_auth(origins=[url(peer)]), timeout=5)


def test_a_refusal_without_end_is_repeated(hj, monkeypatch):
    """Reading it ends after a limit, even if the app's request has none."""
    monkeypatch.setattr("hellojohn._transport.requests.REFUSAL_READ_TIME", 0.1)
    answers = [cut_off(b""), http(b"fine")]

    def handler(connection):
        read_request(connection)
        answer = answers.pop(0)
        connection.sendall(answer)
        with suppress(OSError):
            while answers and not peer.leave.wait(0.01):
                connection.sendall(b"x")

    with Peer(handler) as peer:
        response = requests.get(url(peer), auth=hj.requests_auth(origins=[url(peer)]))
        peer.leave.set()
        assert response.text == "fine"


def answered(status=200):
    """Return an adapter that answers without a connection, as those of some test tools do."""

    class Adapter(requests.adapters.BaseAdapter):
        def send(self, request, **options):
            response = requests.Response()
            response.status_code, response.request, response.url = status, request, request.url
            response.raw = io.BytesIO(b"{}")
            return response

        def close(self):
            pass

    return Adapter()


def test_an_adapter_without_a_connection_gets_its_401_back(session, backend):
    """Nothing can be repeated there."""
    session.mount(backend.url, answered(401))
    assert session.get(f"{backend.url}/x").status_code == 401


@pytest.mark.parametrize("address", ["mock://host:port/x", "mock://\x01/"])
def test_an_address_that_only_an_adapter_understands(session, address):
    """Its requests go without a token."""
    session.mount("mock://", answered())
    response = session.get(address)
    assert (response.status_code, "Authorization" in response.request.headers) == (200, False)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_response_pickles(session, backend, duplicate):
    """It is the app's, as without the auth, and so is the error of ``raise_for_status``."""
    backend.script = lambda seen: Say(403)
    response = session.get(f"{backend.url}/x")
    assert duplicate(response).status_code == 403
    session.send(duplicate(session.prepare_request(requests.Request("GET", f"{backend.url}/x"))))
    assert len(backend.seen) == 2
    with pytest.raises(requests.HTTPError) as caught:
        response.raise_for_status()
    assert duplicate(caught.value).args == caught.value.args


def test_one_call_needs_no_session(hj, backend):
    """The auth serves requests.get() as well, of a client for asyncio too."""
    requests.get(f"{backend.url}/x", auth=hj.requests_auth(origins=[backend.url]), timeout=5)
    assert backend.tokens == [f"Bearer {hj.auth.access_token()}"]


def test_without_requests_it_says_what_to_install(hj, monkeypatch):
    """The package is an extra."""
    monkeypatch.delitem(sys.modules, "hellojohn._transport.requests", raising=False)
    real = builtins.__import__

    def missing(name, *rest):
        if name.partition(".")[0] == "requests":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigurationError, match=r"pip install 'hellojohn\[requests\]'"):
        hj.requests_auth(origins="*")


def test_a_session_of_requests_is_not_wrapped(hj):
    """The message names the two ways that work."""
    with pytest.raises(TypeError, match=r"hj\.requests_auth\(origins=.*auth\.access_token\(\)"):
        hj.wrap(requests.Session())
