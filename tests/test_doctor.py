"""``doctor()``: every fact and all advice, from both clients, with nothing changed and no secret."""

import asyncio
import json
import pickle

import httpx
import pytest

from hellojohn import (
    AsyncHelloJohn,
    Diagnosis,
    EncryptedStore,
    FileStore,
    HelloJohn,
    MemoryStore,
    ServiceUnavailable,
    StoreUnavailable,
)
from hellojohn._doctor import _ago
from hellojohn._session.record import SessionRecord
from hellojohn.emulator import Emulator
from hellojohn.testing._settings import settings_for

NOON = 1_700_000_000.0
USER = ("demo@example.com", "correct horse battery staple")


@pytest.fixture
def emulator(hellojohn_emulator):
    """Return the service."""
    return hellojohn_emulator


@pytest.fixture
def store(tmp_path) -> FileStore:
    """Return a store that gives no advice of its own."""
    return FileStore(tmp_path / "sessions")


@pytest.fixture
def hj(emulator, store):
    """Return a client that makes the state which another one looks at."""
    with HelloJohn(**settings_for(emulator), store=store) as hj:
        yield hj


@pytest.fixture(params=["sync", "async"])
def doctor(request, emulator, store):
    """Return what asks a new client of either kind."""

    def ask(**settings: object) -> Diagnosis:
        chosen = {**settings_for(emulator), "store": store, **settings}
        if request.param == "sync":
            with HelloJohn(**chosen) as hj:
                return hj.doctor()
        return asyncio.run(_ask(chosen))

    return ask


async def _ask(settings) -> Diagnosis:
    async with AsyncHelloJohn(**settings) as hj:
        return await hj.doctor()


@pytest.fixture
def record(hj, store):
    """Return what reads the stored record and, given changes, writes it back."""
    key = hj._account.key

    def changed(**changes: object) -> Record:
        record = Record.loads(store.load(key)).changed(**changes)
        store.save(key, record.dumps())
        return record

    return changed


# The facts


def test_a_session_in_good_order_needs_no_advice(doctor, hj, emulator, store):
    """Every fact is there, and the report says that there is nothing to do."""
    session = hj.auth.sign_in(*USER, remember_me=True)
    emulator.advance("90s")
    found = doctor()
    assert found.account == "default"
    assert found.store == {"store": "FileStore", **store.describe()}
    assert found.session == {
        "session": f"{session.id}, generation 1",
        "session ends": f"{session.expires_at:%Y-%m-%d %H:%M:%S} UTC",
        "last refresh": "none since the sign-in 1.5 min ago",
        "access token": f"lives until {session.access_token_expires_at:%Y-%m-%d %H:%M:%S} UTC",
    }
    assert found.service == f"{emulator.url}/v1 answers"
    assert 0 <= found.clock_offset < 1.5
    assert found.advice == ()


def test_its_text_is_a_report(doctor, hj, emulator, store):
    """It can be read, and sent in, as it is: one fact a line."""
    session = hj.auth.sign_in(*USER)
    lines = str(doctor()).splitlines()
    assert lines[0] == "account        default"
    assert f"where          {store.path}" in lines
    assert "permissions    folder 0700, files 0600" in lines
    assert f"session        {session.id}, generation 1" in lines
    assert f"service        {emulator.url}/v1 answers" in lines
    assert "clock          agrees with the service's" in lines
    assert lines[-1] == "advice         none: all is well."


def test_a_refresh_shows_with_its_age(doctor, hj, emulator):
    """Whether the session is kept alive is the first question about one that was lost."""
    hj.auth.sign_in(*USER)
    hj.auth.refresh()
    emulator.advance("2h")
    found = doctor()
    assert found.session["session"].endswith("generation 2")
    assert found.session["last refresh"] == "2.0 h ago: succeeded"
    assert found.advice == ()


def test_a_session_of_which_little_is_known_shows_that(doctor, hj, record):
    """A service need not name the session, nor its end."""
    hj.auth.sign_in(*USER)
    record(session_id=None, ends_at=None)
    facts = doctor().session
    assert facts["session"] == "without an id, generation 1"
    assert facts["session ends"] == "unknown"


def test_a_token_that_was_saved_in_the_place_of_junk_shows_as_spent(doctor, hj, record):
    """It has no life that could be told; the next use refreshes."""
    hj.auth.sign_in(*USER)
    record(**{name: getattr(record().spent(), name) for name in ("ttl", "refresh_started_at")})
    found = doctor()
    assert found.session["access token"] == "spent: the next use asks for another"
    assert found.session["last refresh"].endswith("the stored record was damaged since, and replaced")
    assert found.advice == ()


def test_a_failed_refresh_shows_with_its_kind(hj, emulator):
    """The session is kept, and the reason can be looked for."""
    hj.auth.sign_in(*USER)
    emulator.fail("token/refresh", status=503, retry_after=60)
    with pytest.raises(ServiceUnavailable):
        hj.auth.refresh()
    last = hj.doctor().session["last refresh"]
    assert last == "none since the sign-in 0 s ago; one since then failed (ServiceUnavailable)"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s ago"),
        (59.4, "59 s ago"),
        (90, "1.5 min ago"),
        (5_400, "1.5 h ago"),
        (129_600, "1.5 d ago"),
        (-90, "1.5 min ahead of this machine's clock"),
    ],
)
def test_ages_are_told_in_the_unit_that_fits(seconds, words):
    """Nobody counts the seconds of a day; and a clock that was set back is no riddle."""
    assert _ago(seconds) == words


def test_a_diagnosis_is_a_value(doctor):
    """It can be kept, compared and sent to where reports go."""
    found = doctor()
    assert pickle.loads(pickle.dumps(found)) == found
    with pytest.raises(AttributeError):
        found.account = "other"


# The session: advice


def test_without_a_session_it_says_what_to_call(doctor):
    """The most frequent of all reasons."""
    found = doctor(account="ada")
    assert found.account == "ada"
    assert found.session == {}
    (advice,) = found.advice
    assert advice.startswith("Nobody is signed in as 'ada', tenant ")
    assert advice.endswith(f" at {found.service.split()[0]}: call sign_in.")


def test_a_session_that_is_over_asks_for_a_sign_in(doctor, hj, emulator):
    """It is over whether or not anybody has tried it since."""
    hj.auth.sign_in(*USER)
    emulator.advance("31d")
    assert doctor().advice == ("The session is over: sign in again.",)


def test_a_refresh_that_was_cut_off_shows(doctor, hj, record, emulator):
    """A process was killed while it waited, and left its intent in the record."""
    hj.auth.sign_in(*USER)
    record(refresh_started_at=emulator.clock())
    emulator.advance("2m")
    found = doctor()
    assert found.session["last refresh"].endswith("; one begun 2.0 min ago has no known outcome")
    assert found.advice == ("A refresh was cut off: the next one tells whether the session has survived.",)


def test_a_pause_that_the_service_wants_shows_until_it_is_over(doctor, hj, emulator):
    """Another process was told so: the record carries it."""
    hj.auth.sign_in(*USER)
    emulator.fail("token/refresh", status=429, retry_after=60)
    with pytest.raises(ServiceUnavailable):
        hj.auth.refresh()
    (advice,) = doctor().advice
    assert advice.startswith("The service wants no refresh until 2")
    assert advice.endswith("UTC: do processes share the store?")
    emulator.advance("61s")
    assert doctor().advice == ()


class _Full(MemoryStore):
    """Takes the session as it was signed in, and nothing later."""

    def save(self, key, text, *, expires_in=None):
        if json.loads(text)["generation"] > 1:
            raise StoreUnavailable("The disk is full.")
        super().save(key, text)


def test_a_session_that_the_store_did_not_take_shows_in_its_process(emulator):
    """Memory holds the only copy: the store must be mended before the process ends."""
    with HelloJohn(**settings_for(emulator), store=_Full()) as hj:
        hj.auth.sign_in(*USER)
        hj.auth.refresh()
        found = hj.doctor()
    assert found.session["session"].endswith("generation 1")
    assert any(sentence.startswith("The session is in memory only") for sentence in found.advice)


@pytest.mark.parametrize(
    ("idle", "background", "advised"), [("30m", False, True), ("30m", True, False), ("2h", False, False)]
)
def test_a_token_that_outlives_the_idle_timeout_is_advised_against(doctor, hj, idle, background, advised):
    """Without refreshing ahead of time, an active user would be signed out as idle."""
    hj.auth.sign_in(*USER)
    advice = doctor(idle_timeout=idle, background_refresh=background).advice
    assert bool(advice) == advised
    assert all("switch background_refresh on" in sentence for sentence in advice)


# The store


@pytest.mark.parametrize("damage", ["no session of ours", '{"v": 99}'], ids=["corrupt", "newer"])
def test_what_is_no_session_is_reported_and_left_alone(doctor, hj, store, damage):
    """Looking must not set a record aside: the next use of the client does."""
    hj.auth.sign_in(*USER)
    store.save(hj._account.key, damage)
    found = doctor()
    assert found.session == {}
    assert found.store["permissions"] == "folder 0700, files 0600"
    (advice,) = found.advice
    assert "The stored session" in advice or "not a session of hellojohn" in advice
    assert store.load(hj._account.key) == damage


def test_a_session_of_another_tenant_is_reported(doctor, hj, record):
    """Its tokens go nowhere."""
    hj.auth.sign_in(*USER)
    record(tenant_id="tnt_other")
    assert doctor().advice == ("The stored session belongs to another service or tenant.",)


def test_a_store_that_refuses_is_reported_with_its_fix_once(doctor, hj, store):
    """The store's own message says what to do, and its real permissions show why."""
    hj.auth.sign_in(*USER)
    store.path.chmod(0o755)
    found = doctor()
    assert found.store["permissions"] == "folder 0755, files 0600"
    assert found.advice == (f"Others can reach {store.path}. Run: chmod 700 {store.path}",)


def test_what_a_store_advises_is_advice(doctor):
    """It stands with the rest, not among the facts."""
    found = doctor(store=MemoryStore())
    assert "advice" not in found.store
    assert [sentence.split(" ")[0] for sentence in found.advice] == ["Nobody", "Sessions"]


class _Broken(MemoryStore):
    """A user's store whose description fails, or is none."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def describe(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", [RuntimeError("marker"), ["marker"], StoreUnavailable("No server.")])
def test_a_store_that_cannot_describe_itself_does_not_stop_the_diagnosis(doctor, answer):
    """It is somebody's plug-in."""
    found = doctor(store=_Broken(answer))
    assert found.store == {"store": "_Broken"}
    assert "marker" not in str(found)
    told = "No server." if isinstance(answer, StoreUnavailable) else "The token store's describe() "
    assert found.advice[1].startswith(told)
    assert found.service.endswith("answers")


# The service and the clock


def test_a_service_that_cannot_be_reached_is_reported(doctor, hj, emulator):
    """The session's facts are there all the same."""
    hj.auth.sign_in(*USER)
    emulator.stop()
    found = doctor()
    assert found.service.startswith(f"{emulator.url}/v1: no answer (ConnectError: ")
    assert found.clock_offset is None
    assert "clock          unknown" in str(found)
    assert found.session["session"].endswith("generation 1")
    assert found.advice == (
        "The service cannot be reached: check api_url, the proxy settings and the network.",
    )


@pytest.mark.parametrize(
    ("trouble", "fact"),
    [
        ({"status": 404, "body": "<html>"}, "status 404 and is none of the HelloJohn API's"),
        ({"status": 401, "body": "<html>"}, "Somebody between here and HelloJohn answered 401"),
        ({"status": 503}, "cannot serve now (status 503)"),
        ({"status": 500}, "failed with status 500"),
        ({"status": 200, "body": "<html>"}, "cannot be understood"),
    ],
    ids=["no such page", "proxy", "unavailable", "broken", "captive portal"],
)
def test_an_answer_that_is_not_the_service_s_is_reported(doctor, hj, emulator, trouble, fact):
    """A proxy or a wrong address answers too; a refusal of the service's own is a good sign."""
    hj.auth.sign_in(*USER)
    emulator.fail("auth/me", **trouble)
    found = doctor()
    assert fact in found.service
    assert found.advice == (
        "Something else than HelloJohn answers, or it is out of order: check api_url and the proxies.",
    )


@pytest.mark.parametrize(
    "answer",
    [{"status": 429}, {"status": 403, "code": "tenant_mismatch"}, {"status": 200, "body": '{"id": "usr_1"}'}],
    ids=["busy", "refused", "understood"],
)
def test_what_the_service_itself_says_is_an_answer(doctor, emulator, answer):
    """The question carries no token, so it is refused anyway."""
    emulator.fail("auth/me", **answer)
    assert doctor().service.endswith("answers")


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (0, "agrees with the service's"),
        (-1, "agrees with the service's"),
        (20, "20 s ahead of the service's"),
        (-30, "30 s behind the service's"),
        (3600, "3600 s ahead of the service's"),
        (-3600, "3600 s behind the service's"),
    ],
)
def test_a_wrong_clock_is_reported(doctor, ahead, words):
    """By its offset from the service's; half a minute harms nobody."""
    with Emulator(clock=lambda: NOON) as frozen:
        found = doctor(**settings_for(frozen) | {"clock": lambda: NOON + ahead})
    assert found.clock_offset == ahead
    assert f"clock          {words}" in str(found)
    wrong = "This machine's clock is wrong: set it, or the ends of sessions show wrongly."
    assert (wrong in found.advice) == (abs(ahead) > 30)


@pytest.mark.parametrize(
    ("date", "offset"),
    [
        ("Thu, 01 Jan 1970 00:01:40 GMT", 900.0),
        ("Thu, 01 Jan 1970 00:01:40 -0000", 900.0),
        ("yesterday", None),
        ("Thu, 01 Jan 1970 99:99:99 GMT", None),
        ("", None),
        (None, None),
    ],
)
def test_the_date_of_an_answer_is_data(doctor, date, offset):
    """A proxy may send anything, or nothing."""
    headers = {} if date is None else {"Date": date}
    answers = httpx.MockTransport(lambda request: httpx.Response(401, headers=headers))
    assert doctor(transport=answers, clock=lambda: 1000.0).clock_offset == offset


# What it must not do


def test_it_changes_nothing(doctor, hj, emulator, store):
    """An expired token is not refreshed, and not a byte in the store moves."""
    hj.auth.sign_in(*USER)
    emulator.advance("2h")
    before = store.load(hj._account.key)
    doctor()
    assert store.load(hj._account.key) == before
    assert emulator.calls("token/refresh") == 0


def test_it_asks_the_service_once_and_sends_it_no_token(doctor, hj, emulator):
    """The question is whether it answers; a token would be at risk at a wrong address."""
    hj.auth.sign_in(*USER)
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(401)

    doctor(transport=httpx.MockTransport(answer))
    (request,) = seen
    assert (request.method, request.url.path, request.content) == ("GET", "/v1/auth/me", b"")
    assert "authorization" not in request.headers


def test_it_shows_no_secret(doctor, hj, emulator, store, record):
    """Not a token, not a key, not the password: the report is meant to be sent around."""
    inner = store
    hj.auth.sign_in(*USER)
    kept = record()
    emulator.fail("auth/me", status=500, body=f"{kept.access_token.reveal()} <html>")
    whole = doctor()
    locked = doctor(store=EncryptedStore(inner, "marker phrase"))
    secrets = [
        kept.access_token.reveal(),
        kept.refresh_token.reveal(),
        USER[1],
        "marker phrase",
        emulator.publishable_key,
        emulator.secret_key,
    ]
    for found in (whole, locked):
        assert [secret for secret in secrets if secret in f"{found} {found!r}"] == []
