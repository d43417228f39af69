"""The emulator answers like the recordings of the real server.

Each recording is replayed against a fresh emulator: the state before it is made, its request is sent, and the
answer is compared. The status, the code, the headers of note, and the keys and types of the body have to be
the same, and every value that a client could branch on. Sentences for people are the emulator's own.

A recording without ``Cache-Control`` says nothing about it. Which recordings are not replayed, and why, is in
``left_out.py``.
"""

import base64
import json
import re
from typing import Any

import httpx
import jwt
import pytest

from tests.emulator_v2 import distil
from tests.emulator_v2.givens import load_states, state_before
from tests.emulator_v2.left_out import LEFT_OUT, NO_SUCH_CALL, reason
from tests.emulator_v2.named import users
from tests.emulator_v2.recorded_world import World

load_states()
RECORDINGS: dict[str, dict[str, Any]] = json.loads(distil.FIXTURE.read_text(encoding="utf-8"))
ABSENT_UNLESS_RECORDED = ("www-authenticate", "allow", "location", "set-cookie", "retry-after")
PLACEHOLDER = re.compile(r"<([^<>]+)>")


@pytest.fixture
def world(request, emulator, http):
    """The state before the recording that the test is about."""
    name = request.node.callspec.params["name"]
    world = World(emulator, http, ana=users(name.partition("/")[0]), recording=name)
    state = state_before(name)
    assert state is not None, f"write the state before {name}, or leave it out with a reason"
    state(world)
    return world


@pytest.fixture
def folder():
    """The folder of the recordings."""
    folder = distil.recordings()
    if folder is None:
        pytest.skip("only on machines with HELLOJOHN_RECORDINGS set")
    return folder


@pytest.mark.parametrize("name", [name for name, entry in RECORDINGS.items() if "send" in entry])
def test_the_answer_is_the_recorded_one(world, name):
    """Status, code, headers of note, and keys and types are those of the real server."""
    entry = RECORDINGS[name]
    mails = len(world.emulator.inbox)
    response = send(world, entry["send"])
    assert response.status_code == entry["status"], response.text
    check_headers(response, entry.get("headers", distil.USUAL_HEADERS))
    check_body(response, entry)
    check_mail(world, entry, mails)
    check_claims(response, entry, base=world.emulator.url)


@pytest.mark.parametrize("name", [name for name, entry in RECORDINGS.items() if "send" not in entry])
def test_the_claims_are_the_recorded_ones(world, name):
    """An access token has the claims that the real server gives it in this state."""
    claims = jwt.decode(world.known["access_token"], options={"verify_signature": False})
    assert_like(claims, RECORDINGS[name]["claims"], base=world.emulator.url)


def test_every_recording_is_replayed_or_left_out(folder):
    """The fixture has every recording in its present form, so that none is forgotten or out of date."""
    records = dict(distil.read(folder))
    distilled = {name: distil.distil(record) for name, record in records.items() if not reason(name)}
    forgotten = [name for name, entry in distilled.items() if entry is None]
    assert not forgotten, "these are not one exchange: leave them out with a reason"
    assert json.loads(distil.dump(distilled)) == RECORDINGS, "run python -m tests.emulator_v2.distil"


def test_no_recording_is_left_out_without_a_reason(folder):
    """Each exception is about a recording that is replayed, and each reason about one that is not."""
    names = [name for name, _ in distil.read(folder)]
    first = {name: next((p for p in LEFT_OUT if distil.fits(name, p)), None) for name in names}
    assert set(LEFT_OUT) == set(first.values()) - {None}, "a pattern fits no recording"


def test_calls_that_are_left_out_are_not_there(folder, http):
    """A recording is left out as a missing call only where the emulator has no such call."""
    there = []
    for name, record in distil.read(folder):
        if reason(name) in NO_SUCH_CALL and record.get("request") and record.get("response"):
            request = record["request"]
            answer = http.request(request["method"], request["path"], json={})
            if answer.status_code not in {404, 405}:
                there.append(name)
    assert there == []


# Sending


def send(world: World, request: dict[str, Any]) -> httpx.Response:
    """Send the request of a recording, with the values of this world in their places."""
    headers = {
        name: filled(world, value, cookie=name == "Cookie")
        for name, value in request.get("headers", {}).items()
    }
    return world.http.request(
        request["method"], filled(world, request["path"]), headers=headers, **content(world, request)
    )


def content(world: World, request: dict[str, Any]) -> dict[str, Any]:
    """Return the body as arguments of httpx."""
    body = request.get("body")
    if isinstance(body, str):
        return {"content": padded(filled(world, body))}
    if body is None:
        return {}
    values = {name: filled(world, v) if isinstance(v, str) else v for name, v in body.items()}
    is_form = "form" in request or "form" in request.get("headers", {}).get("Content-Type", "")
    return {"data": values} if is_form else {"json": values}


def padded(body: str) -> str:
    """Return a body of the size that a recording names."""
    size = re.search(r"\.\.\.(\d+) bytes$", body)
    return body[: size.start()].ljust(int(size[1]), "x") if size else body


def filled(world: World, text: str, *, cookie: bool = False) -> str:
    """Put the values of this world into the places of a text."""
    if cookie:
        text = re.sub(
            r"([\w-]+)=<value>", lambda found: f"{found[1]}={world.known[f'cookie {found[1]}']}", text
        )
    if text.startswith("Basic <"):
        return "Basic " + base64.b64encode(filled(world, text[6:]).encode()).decode()
    return PLACEHOLDER.sub(
        lambda found: world.known.get(found[1], found[1].removesuffix(" bytes") + " bytes"), text
    )


# Comparing


def check_headers(response: httpx.Response, recorded: dict[str, str]) -> None:
    """Compare the headers of note."""
    for name, value in recorded.items():
        assert name in response.headers, f"{name} is missing"
        if name == "set-cookie":
            assert cookie_shape(response.headers[name]) == cookie_shape(value)
        else:
            assert re.fullmatch(pattern(value), response.headers[name]), (name, response.headers[name], value)
    for name in ABSENT_UNLESS_RECORDED:
        assert name in recorded or name not in response.headers, f"{name}: {response.headers[name]}"


def cookie_shape(cookie: str) -> tuple[str, set[str]]:
    """Return the name of a cookie and its attributes, without the values that change."""
    first, *attributes = (part.strip().lower() for part in cookie.split(";"))
    return first.partition("=")[0], {re.sub("^expires=.*", "expires", part) for part in attributes}


def pattern(recorded: str) -> str:
    """Return a regular expression for a text with places, which end where their parameter does."""
    return r"[^&;, ]+".join(map(re.escape, PLACEHOLDER.split(recorded)[::2]))


def check_body(response: httpx.Response, entry: dict[str, Any]) -> None:
    """Compare the keys and types, and the values that do not change."""
    recorded = entry.get("body")
    if recorded is None:
        assert not response.content or response.is_redirect
    elif isinstance(recorded, str):
        assert response.text == recorded
    else:
        assert_like(response.json(), recorded, base=str(response.url.copy_with(raw_path=b"/"))[:-1])


def check_mail(world: World, entry: dict[str, Any], before: int) -> None:
    """Compare the link of a mail, or look that none came."""
    if "mail" not in entry:
        return
    new = world.emulator.inbox[before:]
    if entry["mail"] is None:
        assert not new
    elif entry["mail"] == "<code>":
        assert new[0].code
    else:
        assert re.fullmatch(pattern(entry["mail"]), new[0].link or ""), new[0].link


def check_claims(response: httpx.Response, entry: dict[str, Any], *, base: str) -> None:
    """Compare the claims of the tokens in an answer, and how long they live."""
    for name in ("access_token", "id_token"):
        if f"claims of {name}" in entry:
            claims = jwt.decode(response.json()[name], options={"verify_signature": False})
            assert_like(claims, entry[f"claims of {name}"], base=base)
            assert claims["exp"] - claims["iat"] == entry[f"life of {name}"]


def assert_like(value: Any, recorded: Any, *, base: str) -> None:
    """Compare a value with a recorded one, in which places stand for values of their type."""
    if isinstance(recorded, dict):
        assert isinstance(value, dict)
        assert set(value) == {name.replace("<BASE>", base) for name in recorded}
        for name, inner in recorded.items():
            assert_like(value[name.replace("<BASE>", base)], inner, base=base)
    elif isinstance(recorded, list):
        assert isinstance(value, list)
        assert len(value) == len(recorded), (value, recorded)
        for one, other in zip(value, recorded, strict=True):
            assert_like(one, other, base=base)
    elif recorded == "<text>":
        assert isinstance(value, str)
    elif recorded == "<number>":
        assert isinstance(value, int | float)
    elif isinstance(recorded, str) and "<BASE>" in recorded:
        assert value == recorded.replace("<BASE>", base)
    else:
        assert value == recorded
