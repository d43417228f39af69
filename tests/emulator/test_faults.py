"""Failures on demand, as a client sees them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest

from hellojohn._errors import ConfigurationError
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD

START = 1_700_000_000.0


@pytest.fixture
def token(caller):
    """A good refresh token."""
    return caller.sign_in()["refresh_token"]


class TestStatus:
    def test_it_happens_as_often_as_asked(self, caller, emulator, token):
        """The rules do not run, so that the token stays good. Every request is counted."""
        emulator.fail("token/refresh", status=503, times=2, retry_after=7)
        for _ in range(2):
            answer = caller.refresh(token)
            assert caller.code(answer) == (503, "service_unavailable")
            assert answer.headers["retry-after"] == "7"
        assert caller.refresh(token).status_code == 200
        assert emulator.calls("token/refresh") == 3
        assert emulator.rotations == 1

    def test_an_error_can_hide_a_success(self, caller, emulator, token):
        """With ``when="after"`` the token is rotated although the client gets a 504."""
        emulator.fail("token/refresh", status=504, when="after")
        assert caller.code(caller.refresh(token)) == (504, "gateway_timeout")
        assert emulator.rotations == 1
        assert caller.code(caller.refresh(token)) == (401, "refresh_token_reused")

    def test_the_rate_limiter_has_its_own_shape(self, caller, emulator, token):
        """A 429 has the documented shape, with the wait in the body and in both headers."""
        emulator.fail("token/refresh", status=429, retry_after=30)
        answer = caller.refresh(token)
        assert answer.status_code == 429
        assert answer.json()["error"] == "rate_limit_exceeded"
        assert answer.json()["retry_after"] == 30
        assert answer.headers["retry-after"] == "30"
        assert answer.headers["x-ratelimit-remaining"] == "0"
        assert answer.headers["x-ratelimit-reset"] == str(int(START) + 30)

    def test_a_date_to_retry_at_and_a_named_code(self, caller, emulator, token):
        """The wait can be an HTTP date, and a 429 with a named code has the usual shape."""
        date = "Tue, 14 Nov 2023 22:13:50 GMT"
        emulator.fail("token/refresh", status=429, code="rate_limit_exceeded", retry_after=date)
        answer = caller.refresh(token)
        assert caller.code(answer) == (429, "rate_limit_exceeded")
        assert answer.headers["retry-after"] == date

    def test_the_rate_limiters_body_has_no_date(self, caller, emulator, token):
        """The body can carry seconds only."""
        emulator.fail("token/refresh", status=429, retry_after="Tue, 14 Nov 2023 22:13:50 GMT")
        assert caller.refresh(token).json()["retry_after"] is None

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (400, "invalid_request"),
            (401, "invalid_token"),
            (403, "insufficient_permissions"),
            (404, "not_found"),
            (409, "email_already_exists"),
            (418, "invalid_request"),
            (422, "validation_failed"),
            (500, "internal_error"),
            (502, "bad_gateway"),
            (599, "internal_error"),
        ],
    )
    def test_each_status_has_a_usual_code(self, caller, emulator, token, status, code):
        """Every error status has a code, in the documented shape."""
        emulator.fail("token/refresh", status=status)
        assert caller.code(caller.refresh(token)) == (status, code)

    def test_any_code_can_be_sent(self, caller, emulator, token):
        """A code can come with an unusual status, and an undocumented code can be sent."""
        emulator.fail("token/refresh", status=403, code="session_revoked")
        emulator.fail("token/refresh", status=401, code="brand_new")
        assert caller.code(caller.refresh(token)) == (403, "session_revoked")
        assert caller.code(caller.refresh(token)) == (401, "brand_new")

    @pytest.mark.parametrize("status", [200, 204, 304])
    def test_an_empty_success(self, caller, emulator, token, status):
        """A success can have an empty body."""
        emulator.fail("token/refresh", status=status)
        answer = caller.refresh(token)
        assert (answer.status_code, answer.content) == (status, b"")


class TestBody:
    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            ('{"access_token": ', "application/json"),
            ("<html>Proxy login</html>", "text/html; charset=utf-8"),
            (b"\xff\x00", "text/html; charset=utf-8"),
        ],
    )
    def test_an_unreadable_body(self, caller, emulator, token, body, kind):
        """A cut body, a proxy's page or noise replaces the answer."""
        emulator.fail("token/refresh", body=body)
        emulator.fail("token/refresh", body=body, status=401)
        for status in (200, 401):
            answer = caller.refresh(token)
            assert answer.status_code == status
            assert answer.content == (body.encode() if isinstance(body, str) else body)
            assert answer.headers["content-type"] == kind

    def test_an_unreadable_success_after_the_rotation(self, caller, emulator, token):
        """The token is rotated although the client cannot read the new one."""
        emulator.fail("token/refresh", body="", when="after")
        assert caller.refresh(token).content == b""
        assert emulator.rotations == 1


class TestDrop:
    def test_before_the_rules_run(self, caller, emulator, token):
        """The connection ends without an answer, and the token stays good."""
        emulator.fail("token/refresh", drop="before")
        with pytest.raises(httpx.RemoteProtocolError):
            caller.refresh(token)
        assert emulator.rotations == 0
        assert caller.refresh(token).status_code == 200

    def test_after_the_rules_ran(self, caller, emulator, token):
        """The connection ends without an answer, and the token is rotated."""
        emulator.fail("token/refresh", drop="after")
        with pytest.raises(httpx.RemoteProtocolError):
            caller.refresh(token)
        assert emulator.rotations == 1
        assert caller.code(caller.refresh(token)) == (401, "refresh_token_reused")

    def test_midway(self, caller, emulator, token):
        """The head and half of the body arrive; the token is rotated."""
        emulator.fail("token/refresh", drop="midway")
        with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
            caller.refresh(token)
        assert emulator.rotations == 1

    def test_midway_through_nothing(self, caller, emulator):
        """An answer without a body is not sent at all."""
        session = caller.sign_in()
        emulator.fail("sign-out", drop="midway")
        body = {"refresh_token": session["refresh_token"]}
        with pytest.raises(httpx.RemoteProtocolError):
            caller.call("POST", "/v1/auth/sign-out", bearer=session["access_token"], json=body)

    def test_an_upload_is_dropped_as_well(self, caller, emulator):
        """The emulator receives a large body before it cuts the connection."""
        emulator.fail("resource", drop="before")
        with pytest.raises(httpx.RemoteProtocolError):
            caller.call("POST", "/resource", content=iter([b"x" * 65_536] * 200))


class TestDelay:
    def test_a_client_can_time_out(self, caller, emulator, token):
        """A client that gives up before the delay ends loses its connection and nothing else."""
        emulator.fail("token/refresh", delay=60)
        with pytest.raises(httpx.ReadTimeout):
            caller.refresh(token, timeout=0.05)
        assert emulator.rotations == 0
        assert caller.refresh(token).status_code == 200

    def test_a_delay_may_come_before_another_failure(self, caller, emulator, token):
        """One failure can be both slow and wrong."""
        emulator.fail("token/refresh", delay=0.001, status=500)
        assert caller.refresh(token).status_code == 500

    def test_a_delay_alone_changes_no_answer(self, caller, emulator, token):
        """A delay without a status leaves the answer as it is."""
        emulator.fail("token/refresh", delay=0.001)
        assert caller.refresh(token).status_code == 200


class TestSchedule:
    def test_failures_come_in_order(self, caller, emulator, token):
        """One failure is used up before the next begins."""
        emulator.fail("token/refresh", status=503, times=2)
        emulator.fail("token/refresh", status=500)
        statuses = [caller.refresh(token).status_code for _ in range(4)]
        assert statuses == [503, 503, 500, 200]

    def test_an_outage_lasts_until_it_is_cleared(self, caller, emulator, token):
        """With ``times=None`` a failure lasts until ``clear_failures``."""
        emulator.fail("token/refresh", status=503, times=None)
        assert [caller.refresh(token).status_code for _ in range(3)] == [503] * 3
        emulator.clear_failures()
        assert caller.refresh(token).status_code == 200

    def test_other_routes_are_left_alone(self, caller, emulator):
        """A failure affects its route only."""
        emulator.fail("token/refresh", status=503)
        assert caller.sign_in()["id"]
        assert emulator.calls("token/refresh") == 0
        assert emulator.calls("/auth/sign-in") == 1

    def test_the_end_of_a_name_can_mean_several_routes(self, caller, emulator):
        """The first request on any of the routes uses the failure up."""
        emulator.fail("verify", status=503)
        assert caller.call("POST", "/v1/mfa/verify", json={}).status_code == 503
        assert caller.secret("POST", "/v1/sessions/verify", json={"token": "x"}).status_code == 200
        assert emulator.calls("verify") == 2

    @pytest.mark.parametrize("route", ["refresh-token", "oken/refresh", "", "/"])
    def test_a_misspelt_route_is_refused(self, emulator, route):
        """The error lists the routes."""
        for use in (lambda: emulator.fail(route, status=503), lambda: emulator.calls(route)):
            with pytest.raises(ConfigurationError, match="auth/token/refresh"):
                use()
        with pytest.raises(ConfigurationError, match="auth/token/refresh"):
            emulator.hold(route)

    @pytest.mark.parametrize(
        "failure",
        [
            {},
            {"delay": 0},
            {"delay": -1},
            {"code": "session_revoked"},
            {"status": 503, "drop": "after"},
            {"body": "", "drop": "before"},
            {"status": 99},
            {"status": 600},
            {"status": 503, "times": 0},
            {"drop": "sometimes"},
            {"status": 503, "when": "later"},
        ],
    )
    def test_a_malformed_failure_is_refused(self, emulator, failure):
        """``fail`` itself raises, so that the traceback points at the mistake."""
        with pytest.raises(ConfigurationError):
            emulator.fail("token/refresh", **failure)


class TestHold:
    def test_requests_wait_until_the_block_ends(self, caller, emulator, token):
        """A held request has arrived and has changed nothing. The end of the block lets it go on."""
        with ThreadPoolExecutor(1) as pool:
            with emulator.hold("token/refresh") as hold:
                answer = pool.submit(caller.refresh, token)
                hold.wait_arrived()
                assert hold.arrived.is_set()
                assert not answer.done()
                assert emulator.calls("token/refresh") == 1
                assert emulator.rotations == 0
            assert answer.result(10).status_code == 200

    def test_answers_wait_when_only_they_are_held(self, caller, emulator, token):
        """The rules have run, and the client has no answer yet."""
        with ThreadPoolExecutor(1) as pool:
            with emulator.hold("token/refresh", when="after") as hold:
                answer = pool.submit(caller.refresh, token)
                hold.wait_arrived()
                assert emulator.rotations == 1
                assert not answer.done()
            assert answer.result(10).status_code == 200

    def test_it_can_be_released_early(self, caller, emulator, token):
        """After ``release`` no request is held, inside or after the block."""
        with ThreadPoolExecutor(1) as pool, emulator.hold("token/refresh") as hold:
            answer = pool.submit(caller.refresh, token)
            hold.wait_arrived()
            hold.release()
            token = answer.result(10).json()["refresh_token"]
            assert caller.refresh(token).status_code == 200

    def test_several_requests_are_held_at_once(self, caller, emulator):
        """Other routes work while a route is held."""
        tokens = [caller.sign_in()["refresh_token"] for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            with emulator.hold("token/refresh") as hold:
                answers = [pool.submit(caller.refresh, token) for token in tokens]
                hold.wait_arrived(4)
                assert caller.sign_in()["id"]
            assert [answer.result(10).status_code for answer in answers] == [200] * 4

    def test_a_held_request_runs_without_its_client(self, caller, emulator, token):
        """The service runs a request whose client has given up."""
        with emulator.hold("token/refresh") as hold:
            with pytest.raises(httpx.ReadTimeout):
                caller.refresh(token, timeout=0.2)
            hold.wait_arrived()
        with emulator.hold("token/refresh", when="after") as behind, ThreadPoolExecutor(1) as pool:
            answer = pool.submit(caller.refresh, token)
            behind.wait_arrived()
            behind.release()
            assert caller.code(answer.result(10)) == (401, "refresh_token_reused")

    def test_waiting_for_too_many_raises(self, emulator):
        """``wait_arrived`` raises with the count instead of hanging."""
        with (
            emulator.hold("token/refresh") as hold,
            pytest.raises(TimeoutError, match="0 of 1 requests"),
        ):
            hold.wait_arrived(timeout=0.01)

    def test_a_released_hold_holds_nothing(self, emulator):
        """A request that meets the hold just after its release goes on."""
        hold = emulator.hold("token/refresh")
        hold.release()
        assert hold.enter() is None
        assert not hold.arrived.is_set()

    def test_failures_and_holds_combine(self, caller, emulator, token):
        """A held request can fail after its release."""
        emulator.fail("token/refresh", status=503)
        with ThreadPoolExecutor(1) as pool:
            with emulator.hold("token/refresh") as hold:
                answer = pool.submit(caller.refresh, token)
                hold.wait_arrived()
            assert answer.result(10).status_code == 503


def test_counting_is_exact_under_load(caller, emulator):
    """The requests of eight threads are all counted."""
    start = threading.Barrier(8)

    def work() -> None:
        start.wait(10)
        for _ in range(10):
            caller.sign_in(DEMO_EMAIL, DEMO_PASSWORD)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work) for _ in range(8)]:
            done.result(30)
    assert emulator.calls("auth/sign-in") == 80


def test_the_date_header_follows_the_clock(caller, emulator):
    """The ``Date`` header is the emulator's time."""
    emulator.advance(timedelta(seconds=40))
    answer = caller.call("GET", "/v1/auth/me")
    assert answer.headers["date"] == "Tue, 14 Nov 2023 22:14:00 GMT"
