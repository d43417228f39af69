"""``doctor()``: its facts and its advice, from both clients, with nothing changed and no secret shown."""

import json
import pickle
from dataclasses import FrozenInstanceError

import httpx
import pytest

from hellojohn import Diagnosis, EncryptedStore, FileStore, MemoryStore, ServiceUnavailable, StoreUnavailable
from hellojohn.emulator import Emulator
from tests.behaviour.scripted import DictStore
from tests.both_faces import close, emulated, settle

NOON = 1_700_000_000.0
USER = ("demo@example.com", "correct horse battery staple")


@pytest.fixture
def store(tmp_path) -> FileStore:
    """Return a store that gives no advice."""
    return FileStore(tmp_path / "sessions")


@pytest.fixture
def hj(new_client, store):
    """Return a sync client that makes the state that another client examines."""
    return new_client(store=store)


@pytest.fixture
def doctor(owner, emulator, store):
    """Return a function that has a new client of either kind examine the state."""

    async def examine(**settings) -> Diagnosis:
        hj = owner(**{**emulated(emulator, store=store), **settings})
        try:
            return await settle(hj.doctor())
        finally:
            await close(hj)

    return examine


class Shelf(DictStore):
    """A store whose record a test can change."""

    def change(self, **fields: object) -> None:
        """Change fields of the stored record."""
        (key,) = self.texts
        self.texts[key] = json.dumps({**json.loads(self.texts[key]), **fields})


@pytest.fixture
def shelf(new_client) -> Shelf:
    """Return a store with a session whose record a test can change."""
    shelf = Shelf()
    new_client(store=shelf).auth.sign_in(*USER)
    return shelf


# ---------------------------------------------------------------- facts


async def test_session_in_good_order(doctor, hj, emulator, store):
    """A session in good order shows its facts and no advice."""
    session = hj.auth.sign_in(*USER, remember_me=True)
    emulator.advance("90s")
    found = await doctor()
    assert found.account == "default"
    assert found.store == {"store": "FileStore", **store.describe()}
    assert found.session == {
        "session": f"{session.id}, generation 1",
        "session ends": f"{session.expires_at:%Y-%m-%d %H:%M:%S} UTC",
        "last refresh": "none since the sign-in 1.5 min ago",
        "access token": f"expires {session.access_token_expires_at:%Y-%m-%d %H:%M:%S} UTC",
    }
    assert found.service == f"{emulator.url}: answers"
    assert 0 <= found.clock_offset < 1.5
    assert found.advice == ()


async def test_report_has_one_fact_a_line(doctor, hj, emulator, store):
    """str() of a diagnosis is a report to read or to send in."""
    session = hj.auth.sign_in(*USER)
    lines = str(await doctor()).splitlines()
    assert lines[0] == "account        default"
    assert f"where          {store.path}" in lines
    assert "permissions    folder 0700, files 0600" in lines
    assert f"session        {session.id}, generation 1" in lines
    assert f"service        {emulator.url}: answers" in lines
    assert "clock          agrees with the service's" in lines
    assert lines[-1] == "advice         nothing to do"


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        ("0s", "0 s ago"),
        ("59s", "59 s ago"),
        ("90s", "1.5 min ago"),
        ("90m", "1.5 h ago"),
        ("36h", "1.5 d ago"),
    ],
)
async def test_age_of_the_last_refresh(doctor, hj, emulator, passed, words):
    """The last refresh is shown with its age, in the unit that fits."""
    hj.auth.sign_in(*USER)
    hj.auth.refresh()
    if passed != "0s":
        emulator.advance(passed)
    found = await doctor()
    assert found.session["session"].endswith("generation 2")
    assert found.session["last refresh"].partition(":")[0] in (words, words.replace("0 s", "1 s"))
    assert found.session["last refresh"].endswith(": succeeded")
    assert found.advice == ()


async def test_refresh_ahead_of_the_clock(doctor, shelf, emulator):
    """A refresh that lies in the future shows that the clock was set back."""
    shelf.change(refreshed_at=emulator.clock() + 90, generation=2)
    words = (await doctor(store=shelf)).session["last refresh"]
    assert words == "1.5 min ahead of this machine's clock: succeeded"


async def test_unknown_facts(doctor, shelf):
    """A service need not name the session or its end, and the report says so."""
    shelf.change(session_id=None, server_ends_at=None)
    facts = (await doctor(store=shelf)).session
    assert facts["session"] == "without an id, generation 1"
    assert facts["session ends"] == "unknown"


async def test_failed_refresh_shows_its_kind(hj, emulator):
    """A failed refresh is shown with the class of its error."""
    hj.auth.sign_in(*USER)
    emulator.fail("token/refresh", status=503, retry_after=60)
    with pytest.raises(ServiceUnavailable):
        hj.auth.refresh()
    last = hj.doctor().session["last refresh"]
    assert last.endswith(" s ago; a later one failed (ServiceUnavailable)")


async def test_diagnosis_is_a_value(doctor):
    """A diagnosis can be kept, compared and pickled."""
    found = await doctor()
    assert pickle.loads(pickle.dumps(found)) == found
    with pytest.raises(FrozenInstanceError):
        found.account = "other"


# ---------------------------------------------------------------- advice about the session


async def test_without_a_session(doctor, emulator):
    """Without a session, the advice names the account, the tenant and the call."""
    found = await doctor(account="ada")
    assert (found.account, found.session) == ("ada", {})
    (advice,) = found.advice
    assert advice == (
        f"No user is signed in as 'ada' (tenant {emulator.tenant_id} at {emulator.url}). Call sign_in."
    )


async def test_missing_key(doctor):
    """For a client without a publishable key the advice names the setting."""
    advice = (await doctor(publishable_key=None)).advice
    assert "publishable_key (HELLOJOHN_PUBLISHABLE_KEY) is not set: sign-in needs it." in advice


async def test_session_past_its_end(doctor, hj, emulator):
    """A session whose end has passed asks for a sign-in, also before any call has noticed it."""
    hj.auth.sign_in(*USER)
    emulator.advance("31d")
    assert (await doctor()).advice == ("The session is over: sign in again.",)


async def test_ended_session_shows_its_reason(doctor, hj, emulator):
    """A session that the service has ended is reported with the reason."""
    emulator.revoke(hj.auth.sign_in(*USER).id)
    with pytest.raises(Exception, match="revoked"):
        hj.auth.refresh()
    assert (await doctor()).advice == ("The last session has ended (revoked): sign in again.",)


async def test_refresh_that_was_cut_off(doctor, shelf, emulator):
    """A refresh whose process died is reported, because the session may be lost."""
    shelf.change(refresh_started_at=emulator.clock())
    emulator.advance("2m")
    found = await doctor(store=shelf)
    assert found.session["last refresh"].endswith("; the outcome of one begun 2.0 min ago is unknown")
    assert found.advice == ("A refresh was cut off: the next one shows whether the session has survived.",)


async def test_refresh_that_may_be_under_way(doctor, shelf, emulator):
    """Another process may be refreshing at this moment: that is a fact, and no reason for advice."""
    shelf.change(refresh_started_at=emulator.clock())
    emulator.advance("5s")
    found = await doctor(store=shelf)
    assert found.session["last refresh"].endswith("; one begun 5 s ago may be under way")
    assert found.advice == ()


async def test_cooldown_after_a_failure(doctor, hj, emulator):
    """The pause after a failed refresh is reported by every client until it ends."""
    hj.auth.sign_in(*USER)
    emulator.fail("token/refresh", status=429, retry_after=50)
    with pytest.raises(ServiceUnavailable):
        hj.auth.refresh()
    (advice,) = (await doctor()).advice
    assert advice.startswith("The last refresh failed. No other is tried for ")
    emulator.advance("61s")
    assert (await doctor()).advice == ()


class Full(MemoryStore):
    """A store that takes the session as it was signed in, and no later generation."""

    def save(self, key, text, *, expires_in=None):
        """Save the first generation."""
        if json.loads(text)["generation"] > 1:
            raise StoreUnavailable("The disk is full.")
        super().save(key, text)


async def test_session_in_memory_only(new_client):
    """A session that the store did not take is reported: the store must work before the process ends."""
    hj = new_client(store=Full())
    hj.auth.sign_in(*USER)
    hj.auth.refresh()
    found = hj.doctor()
    assert found.session["session"].endswith("generation 1")
    assert "The session is in memory only, because the store failed: repair the store." in found.advice


@pytest.mark.parametrize(
    ("idle", "background", "advised"), [("30m", False, True), ("30m", True, False), ("2h", False, False)]
)
async def test_token_that_outlives_the_idle_timeout(doctor, hj, idle, background, advised):
    """Without background refresh an active user would idle out, and the advice says what to switch on."""
    hj.auth.sign_in(*USER)
    advice = (await doctor(idle_timeout=idle, background_refresh=background)).advice
    assert bool(advice) == advised
    assert all("switch background_refresh on" in sentence for sentence in advice)


# ---------------------------------------------------------------- advice about the store


@pytest.mark.parametrize("damage", ["not a session", '{"v": 99}'], ids=["corrupt", "later version"])
async def test_unreadable_record_is_reported_and_left_alone(doctor, shelf, damage):
    """The doctor reports a text that is not a session, and does not quarantine it."""
    (key,) = shelf.texts
    shelf.texts[key] = damage
    found = await doctor(store=shelf)
    assert found.session == {}
    assert any("session" in sentence for sentence in found.advice)
    lost = damage == "not a session"
    assert any(sentence.endswith("Sign in again.") for sentence in found.advice) is lost
    assert shelf.texts == {key: damage}


async def test_record_of_another_tenant(doctor, shelf):
    """A session of another tenant is reported, and its tokens go nowhere."""
    shelf.change(tenant_id="tnt_other")
    assert (await doctor(store=shelf)).advice == (
        "The stored session belongs to another service or tenant. Sign in again.",
    )


async def test_store_that_refuses_is_reported_once(doctor, hj, store):
    """The store's own message says what to do, beside the permissions that it found."""
    hj.auth.sign_in(*USER)
    store.path.chmod(0o755)
    found = await doctor()
    assert found.store["permissions"] == "folder 0755, files 0600"
    (advice,) = found.advice
    assert f"chmod 700 {store.path}" in advice


@pytest.mark.parametrize("occupied", ["parent", "folder"])
async def test_folder_that_cannot_be_used_is_reported(doctor, tmp_path, occupied):
    """The advice says so before a sign-in fails, and nothing is left of the attempt."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "sessions" if occupied == "parent" else tmp_path / "file"
    found = await doctor(store=FileStore(path))
    assert any(f"{path}: " in sentence and "another path" in sentence for sentence in found.advice)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


async def test_advice_of_a_store(doctor):
    """The advice of a store stands among the advice, and not among its facts."""
    found = await doctor(store=MemoryStore())
    assert "advice" not in found.store
    assert any("Sessions end with this process" in sentence for sentence in found.advice)


class Undescribed(MemoryStore):
    """An app's store whose description fails, or is not a mapping."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def describe(self):
        """Return the wrong thing, or fail."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "answer", [RuntimeError("marker"), ["marker"], StoreUnavailable("No server.")], ids=repr
)
async def test_store_that_cannot_describe_itself(doctor, answer):
    """A store whose description fails does not stop the diagnosis."""
    found = await doctor(store=Undescribed(answer))
    assert found.store == {"store": "Undescribed"}
    assert "marker" not in str(found)
    words = "No server." if isinstance(answer, StoreUnavailable) else "The token store's describe() "
    assert found.advice[1].startswith(words)
    assert found.service.endswith("answers")


async def test_store_that_describes_itself_with_other_values(doctor):
    """They are shown as text."""
    found = await doctor(store=Undescribed({"size": 3, "advice": ["buy", "a disk"]}))
    assert found.store == {"store": "Undescribed", "size": "3"}
    assert "['buy', 'a disk']" in found.advice


# ---------------------------------------------------------------- the service and the clock


async def test_service_that_is_down(doctor, hj, emulator):
    """A service that cannot be reached is reported beside the facts about the session."""
    hj.auth.sign_in(*USER)
    emulator.stop()
    found = await doctor()
    assert found.service.startswith(f"{emulator.url}: no answer (ConnectError: ")
    assert found.clock_offset is None
    assert "clock          unknown" in str(found)
    assert found.session["session"].endswith("generation 1")
    assert found.advice == (
        "The service cannot be reached: check api_url, the proxy settings and the network.",
    )


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 404, "body": "<html>"},
        {"status": 401, "body": "<html>"},
        {"status": 503, "body": "<html>"},
        {"status": 200, "body": "<html>"},
    ],
    ids=["no such page", "proxy", "unavailable", "captive portal"],
)
async def test_answer_of_something_else(doctor, hj, emulator, trouble):
    """A proxy or a wrong address is reported with the status and the setting."""
    hj.auth.sign_in(*USER)
    emulator.fail("auth/me", **trouble)
    found = await doctor()
    assert found.service.endswith(f"something other than HelloJohn answers (status {trouble['status']})")
    assert found.advice == (
        "Something other than HelloJohn answers: check api_url (HELLOJOHN_API_URL) and proxies.",
    )


@pytest.mark.parametrize(
    "answer",
    [{"status": 429}, {"status": 403, "code": "tenant_mismatch"}, {"status": 200, "body": '{"id": "usr_1"}'}],
    ids=["busy", "refused", "understood"],
)
async def test_answer_of_the_service(doctor, emulator, answer):
    """Any answer in HelloJohn's own words shows that the service is there, also a refusal."""
    emulator.fail("auth/me", **answer)
    assert (await doctor()).service.endswith(": answers")


async def test_wrong_setting_of_the_connection(doctor, monkeypatch):
    """A variable of the environment that prevents asking is the advice, and nothing about the network."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/certificates.pem")
    found = await doctor(api_url="https://api.example.com")
    assert found.service == "https://api.example.com: not asked, because a setting is wrong"
    assert any(sentence.startswith("SSL_CERT_FILE names '/nowhere") for sentence in found.advice)
    assert not any("network" in sentence for sentence in found.advice)


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
async def test_wrong_clock(doctor, ahead, words):
    """A clock that differs from the service's by more than half a minute is reported."""
    with Emulator(clock=lambda: NOON) as frozen:
        found = await doctor(**emulated(frozen) | {"clock": lambda: NOON + ahead})
    assert found.clock_offset == ahead
    assert f"clock          {words}" in str(found)
    wrong = "This machine's clock is wrong. Set it: the ends of sessions are shown wrongly."
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
async def test_any_date_header_is_accepted(doctor, date, offset):
    """A proxy may send any date header, or none."""
    headers = {} if date is None else {"Date": date}
    answers = httpx.MockTransport(lambda request: httpx.Response(401, headers=headers))
    assert (await doctor(transport=answers, clock=lambda: 1000.0)).clock_offset == offset


# ---------------------------------------------------------------- side effects


async def test_doctor_changes_nothing(doctor, shelf, emulator):
    """An expired token is not refreshed, and the store is not written."""
    emulator.advance("2h")
    before = dict(shelf.texts)
    await doctor(store=shelf)
    assert shelf.texts == before
    assert emulator.calls("token/refresh") == 0


async def test_doctor_asks_once_and_sends_no_token(doctor, hj):
    """The question whether the service answers carries no token: the address may be wrong."""
    hj.auth.sign_in(*USER)
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(401)

    await doctor(transport=httpx.MockTransport(answer))
    (request,) = seen
    assert (request.method, request.url.path, request.content) == ("GET", "/v1/auth/me", b"")
    assert "authorization" not in request.headers


async def test_doctor_shows_no_secret(doctor, shelf, emulator):
    """The report holds no token, no key and no pass phrase."""
    record = json.loads(shelf.text())
    emulator.fail("auth/me", status=500, body=f"{record['access_token']} <html>")
    whole = await doctor(store=shelf)
    locked = await doctor(store=EncryptedStore(shelf, "a long marker phrase"))
    secrets = [
        *(record["access_token"], record["refresh_token"], USER[1], "a long marker phrase"),
        *(emulator.publishable_key, emulator.secret_key),
    ]
    for found in (whole, locked):
        assert [secret for secret in secrets if secret in f"{found} {found!r}"] == []
