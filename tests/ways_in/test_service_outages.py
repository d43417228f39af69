"""Service to service when the server fails, refuses, or answers with something else."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import pytest

from hellojohn import ApiError, AsyncHelloJohn, ConfigurationError, HelloJohn, ServiceUnavailable
from hellojohn._clock import Timing
from hellojohn._limits import COOLDOWN, LARGEST_BODY, LONGEST_COOLDOWN, REFRESH_ATTEMPTS
from hellojohn._session import engine
from tests.both_faces import close, settle
from tests.ways_in.token_endpoint import SECRET, TTL, TokenEndpoint, granted, refused

API = "https://api.example.com"
USUAL = {"client_secret": SECRET, "scopes": ["orders:read"]}


class Pauses(list[float]):
    """The pauses between attempts, which take no time here."""


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    """Let attempts follow each other at once, and note the pauses."""
    noted = Pauses()
    monkeypatch.setattr(engine, "Timing", partial(Timing, sleep=noted.append))
    return noted


@pytest.fixture
def server() -> TokenEndpoint:
    """A server without sockets."""
    return TokenEndpoint()


@pytest.fixture(params=[HelloJohn, AsyncHelloJohn], ids=["sync", "async"])
async def hj(request: pytest.FixtureRequest, server: TokenEndpoint) -> AsyncIterator[Any]:
    """A client of either face that is the service ``worker``."""
    client = server.client(request.param)
    yield client
    await close(client)


async def token(hj: Any) -> str:
    """Return the service's token."""
    return await settle(hj.service_token(**USUAL))


# ---------------------------------------------------------------- outages


async def test_unexpired_token_goes_on_serving(hj: Any, server: TokenEndpoint) -> None:
    """While the server is away a token is sent until it expires; then the error names the outage."""
    assert await token(hj) == "st_1"
    server.is_down = True
    for left in (100, 20, 1):
        server.now = server.now // 1_000 * 1_000 + TTL - left
        assert await token(hj) == "st_1"
    server.now += 2
    with pytest.raises(ServiceUnavailable, match="gave no answer") as caught:
        await token(hj)
    assert not caught.value.ambiguous
    server.is_down = False
    server.now += COOLDOWN
    assert await token(hj) == f"st_{len(server.asked)}"


async def test_outage_is_not_asked_about_by_every_call(hj: Any, server: TokenEndpoint) -> None:
    """A hundred calls during an outage cost the attempts of one, and each says how long to wait."""
    server.is_down = True
    for number in range(100):
        with pytest.raises(ServiceUnavailable, match="gave no answer") as caught:
            await token(hj)
        assert (caught.value.retry_after is None) == (number == 0)
    assert len(server.asked) == REFRESH_ATTEMPTS
    assert 0 < caught.value.retry_after <= COOLDOWN
    server.is_down = False
    server.now += COOLDOWN
    assert await token(hj) == f"st_{len(server.asked)}"


async def test_stale_token_in_an_outage_causes_no_storm(hj: Any, server: TokenEndpoint) -> None:
    """A background refresh that fails is not repeated by every call."""
    await token(hj)
    server.is_down = True
    server.now += TTL - 100
    for _ in range(50):
        assert await token(hj) == "st_1"
    await close(hj)
    assert len(server.asked) <= 1 + REFRESH_ATTEMPTS


async def test_clock_that_is_set_back_ends_no_service(hj: Any, server: TokenEndpoint) -> None:
    """A pause that seems to last a day comes from a clock, and is over."""
    server.is_down = True
    with pytest.raises(ServiceUnavailable):
        await token(hj)
    server.is_down = False
    server.now -= 86_400
    assert await token(hj) == f"st_{len(server.asked)}"


async def test_lost_answer_is_asked_for_once_more(hj: Any, server: TokenEndpoint, pauses: Pauses) -> None:
    """A connection that breaks after sending is followed by one more request."""
    server.answers.append(httpx.ReadError("reset"))
    assert await token(hj) == "st_2"
    assert pauses == [1.0]


@pytest.mark.parametrize("status", [429, 503])
async def test_short_retry_after_is_waited_for(
    hj: Any, server: TokenEndpoint, pauses: Pauses, status: int
) -> None:
    """A wait that fits is waited for, and the caller gets its token."""
    server.answers.append(refused(status, "RATE_LIMIT_EXCEEDED", Retry_After="7"))
    assert await token(hj) == "st_2"
    assert pauses == [7.0]


@pytest.mark.parametrize("status", [429, 503])
async def test_long_retry_after_is_obeyed(hj: Any, server: TokenEndpoint, status: int) -> None:
    """A longer wait reaches the caller, and the server is left alone for as long, up to a minute."""
    server.answers.append(refused(status, "RATE_LIMIT_EXCEEDED", Retry_After="59"))
    for passed, left in ((0, 59), (20, 39), (38, 1)):
        server.now += passed
        with pytest.raises(ServiceUnavailable) as caught:
            await token(hj)
        assert caught.value.retry_after == left
    assert len(server.asked) == 1
    server.now += 1
    assert await token(hj) == "st_2"


async def test_absurd_retry_after_is_limited(hj: Any, server: TokenEndpoint) -> None:
    """A server that asks for a year is asked again after a minute."""
    server.answers.append(refused(429, "RATE_LIMIT_EXCEEDED", Retry_After="31536000"))
    with pytest.raises(ServiceUnavailable):
        await token(hj)
    server.now += LONGEST_COOLDOWN
    assert await token(hj) == "st_2"


# ---------------------------------------------------------------- refusals


async def test_refused_secret_is_final(hj: Any, server: TokenEndpoint) -> None:
    """A hundred calls with a wrong secret cost one request a minute, and each gets the same error."""
    server.answers.extend([refused(401, "invalid_client")] * 2)
    for _ in range(100):
        with pytest.raises(ConfigurationError, match=r"HELLOJOHN_CLIENT_ID.*client_secret"):
            await token(hj)
    assert len(server.asked) == 1
    server.now += LONGEST_COOLDOWN
    with pytest.raises(ConfigurationError):
        await token(hj)
    server.now += LONGEST_COOLDOWN
    assert await token(hj) == "st_3"


async def test_refused_scope_is_named(hj: Any, server: TokenEndpoint) -> None:
    """The error names the scopes that were asked for."""
    server.answers.append(refused(400, "invalid_scope"))
    with pytest.raises(ConfigurationError, match="orders:read"):
        await token(hj)


async def test_token_outlives_its_secret(hj: Any, server: TokenEndpoint) -> None:
    """A secret that was changed is reported when the last token has expired, and not before."""
    await token(hj)
    server.answers.extend([refused(401, "invalid_client")] * 2)
    server.now += TTL - 20
    assert await token(hj) == "st_1"
    server.now += 30
    with pytest.raises(ConfigurationError, match="client_secret"):
        await token(hj)
    assert len(server.asked) == 2


async def test_hook_raises_what_the_call_raises(hj: Any, server: TokenEndpoint) -> None:
    """The error comes out of the request, which is not sent without its token."""
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200)

    server.answers.append(refused(401, "invalid_client"))
    auth = hj.service_auth(**USUAL, origins=[API])
    async with httpx.AsyncClient(auth=auth, transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(ConfigurationError, match="client_secret"):
            await client.get(API)
    assert sent == []


# ---------------------------------------------------------------- other answers

HTML = httpx.Response(200, html="<html>Sign in to the guest network</html>")
FOREIGN: dict[str, tuple[httpx.Response, type[Exception], str]] = {
    "a page": (HTML, ServiceUnavailable, "cannot be understood"),
    "an empty success": (httpx.Response(204), ServiceUnavailable, "cannot be understood"),
    "a huge body": (
        granted("x" * LARGEST_BODY),
        ServiceUnavailable,
        "cannot be understood|no answer",
    ),
    "a cut body": (
        httpx.Response(200, content=b'{"access_token": "st'),
        ServiceUnavailable,
        "cannot be understood",
    ),
    "a second factor": (
        httpx.Response(200, json={"mfa_required": True, "mfa_token": "m"}),
        ServiceUnavailable,
        "cannot be understood",
    ),
    "a token with a line break": (granted("st\r\nX-Evil: 1"), ServiceUnavailable, "cannot be understood"),
    "another type": (granted("st", token_type="DPoP"), ApiError, "bearer"),
    "a redirect": (
        httpx.Response(302, headers={"Location": "https://evil.example.com"}),
        ServiceUnavailable,
        "other than HelloJohn",
    ),
    "a proxy": (httpx.Response(403, html="<html>no</html>"), ServiceUnavailable, "other than HelloJohn"),
    "v1's refusal": (
        httpx.Response(401, json={"error": {"code": "invalid_publishable_key", "message": "No."}}),
        ApiError,
        "No",
    ),
    "v1's unknown path": (
        httpx.Response(404, json={"error": {"code": "not_found", "message": "No such route."}}),
        ServiceUnavailable,
        "Check api_url",
    ),
    "an unknown client": (
        httpx.Response(400, json={"code": "CLIENT_NOT_FOUND", "message": "x"}),
        ApiError,
        "tenant",
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
async def test_answer_of_something_else(hj: Any, server: TokenEndpoint, name: str) -> None:
    """A typed error says whether to wait or to mend the settings, and a token at hand serves on."""
    answer, error, words = FOREIGN[name]
    server.answers.append(httpx.Response(answer.status_code, headers=answer.headers, content=answer.content))
    with pytest.raises(error, match=words):
        await token(hj)
    assert len(server.asked) == 1
    server.now += LONGEST_COOLDOWN
    assert await token(hj) == "st_2"
    server.answers.append(httpx.Response(answer.status_code, headers=answer.headers, content=answer.content))
    server.now += TTL - 20
    assert await token(hj) == "st_2"


@pytest.mark.parametrize("status", [500, 502, 599])
async def test_server_error_is_asked_about_once_more(hj: Any, server: TokenEndpoint, status: int) -> None:
    """The same request goes out once more, and the error says that it may have worked."""
    server.answers.extend([httpx.Response(status) for _ in range(2)])
    with pytest.raises(ServiceUnavailable, match=str(status)) as caught:
        await token(hj)
    assert caught.value.ambiguous
    assert len(server.asked) == 2


async def test_answer_of_v1_is_a_token_and_no_session(hj: Any, server: TokenEndpoint) -> None:
    """A session, a user and a refresh token beside the token are ignored."""
    server.answers.append(
        granted("st", refresh_token="rt", session={"id": "s", "expires_at": "2027-01-15T09:00:00Z"})
    )
    assert await token(hj) == "st"
    server.now += TTL - 100
    assert await token(hj) == "st"
    assert await settle(hj.auth.session()) is None


@pytest.mark.parametrize(
    ("stated", "lives"),
    [(0, 1), (1, 1), ("60", 60), (None, 3_600), (-5, 3_600), ("soon", 3_600), (1e300, 1e9), (True, 3_600)],
)
async def test_life_of_a_token(hj: Any, server: TokenEndpoint, stated: Any, lives: float) -> None:
    """A token is used for as long as the answer says, for a second at least, and a century at most."""
    server.answers.append(granted("st", expires_in=stated))
    assert await token(hj) == "st"
    server.now += lives * 0.5
    assert await token(hj) == "st"
    if lives < 1e9:
        server.now += lives * 0.5
        assert await token(hj) == f"st_{len(server.asked)}"


async def test_token_that_expires_at_once_is_sent(server: TokenEndpoint) -> None:
    """A request with a token of no life goes out with it, and does not ask for ever."""
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("Authorization"))
        return httpx.Response(401)

    server.answers.append(granted("st", expires_in=0))
    async with server.client(AsyncHelloJohn) as hj:
        auth = hj.service_auth(**USUAL, origins=[API])
        async with httpx.AsyncClient(auth=auth, transport=httpx.MockTransport(answer)) as client:
            assert (await client.get(API)).status_code == 401
    assert (seen, len(server.asked)) == (["Bearer st"], 1)


@pytest.mark.parametrize("now", [float("nan"), float("inf"), 0.0, -1e9])
def test_clock_that_says_nothing(server: TokenEndpoint, now: float) -> None:
    """With a broken clock a token is asked for first, and used until the API refuses it."""
    with server.client() as hj:
        server.now = now
        assert [hj.service_token(**USUAL) for _ in range(3)] == ["st_1"] * 3
