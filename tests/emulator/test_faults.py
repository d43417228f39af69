"""What goes wrong on purpose, as a client sees it."""

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
    """A refresh token that is good."""
    return caller.sign_in()["refresh_token"]


class TestStatus:
    def test_it_happens_as_often_as_asked_before_the_rules_run(self, caller, emulator, token):
        """The same token is good again afterwards, and every request is counted."""
        emulator.fail("token/refresh", status=503, times=2, retry_after=7)
        for _ in range(2):
            answer = caller.refresh(token)
            assert caller.code(answer) == (503, "service_unavailable")
            assert answer.headers["retry-after"] == "7"
        assert caller.refresh(token).status_code == 200
        assert emulator.calls("token/refresh") == 3
        assert emulator.rotations == 1

    def test_an_answer_may_hide_what_was_done(self, caller, emulator, token):
        """A gateway that lost the answer leaves the token rotated."""
        emulator.fail("token/refresh", status=504, when="after")
        assert caller.code(caller.refresh(token)) == (504, "gateway_timeout")
        assert emulator.rotations == 1
        assert caller.code(caller.refresh(token)) == (401, "refresh_token_reused")

    def test_the_rate_limiter_has_a_shape_and_headers_of_its_own(self, caller, emulator, token):
        """429 comes in the documented shape, with its wait in the body and in both headers."""
        emulator.fail("token/refresh", status=429, retry_after=30)
        answer = caller.refresh(token)
        assert answer.status_code == 429
        assert answer.json()["error"] == "rate_limit_exceeded"
        assert answer.json()["retry_after"] == 30
        assert answer.headers["retry-after"] == "30"
        assert answer.headers["x-ratelimit-remaining"] == "0"
        assert answer.headers["x-ratelimit-reset"] == str(int(START) + 30)

    def test_a_date_to_retry_at_and_a_code_of_ones_own(self, caller, emulator, token):
        """The wait may be an HTTP date, and a named code comes in the usual shape."""
        date = "Tue, 14 Nov 2023 22:13:50 GMT"
        emulator.fail("token/refresh", status=429, code="rate_limit_exceeded", retry_after=date)
        answer = caller.refresh(token)
        assert caller.code(answer) == (429, "rate_limit_exceeded")
        assert answer.headers["retry-after"] == date

    def test_a_date_in_the_rate_limiters_own_shape(self, caller, emulator, token):
        """A body carries seconds only."""
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
        """The error is in the documented shape whatever the status."""
        emulator.fail("token/refresh", status=status)
        assert caller.code(caller.refresh(token)) == (status, code)

    def test_any_code_can_be_played(self, caller, emulator, token):
        """A code with another status than usual, and one that is not documented."""
        emulator.fail("token/refresh", status=403, code="session_revoked")
        emulator.fail("token/refresh", status=401, code="brand_new")
        assert caller.code(caller.refresh(token)) == (403, "session_revoked")
        assert caller.code(caller.refresh(token)) == (401, "brand_new")

    @pytest.mark.parametrize("status", [200, 204, 304])
    def test_an_empty_success(self, caller, emulator, token, status):
        """An answer may be good and say nothing."""
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
    def test_nonsense(self, caller, emulator, token, body, kind):
        """A truncated body, a proxy's page or noise comes in place of the answer."""
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
        """The connection ends without an answer, and the token is still good."""
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
        """An answer without a body is dropped whole."""
        session = caller.sign_in()
        emulator.fail("sign-out", drop="midway")
        body = {"refresh_token": session["refresh_token"]}
        with pytest.raises(httpx.RemoteProtocolError):
            caller.call("POST", "/v1/auth/sign-out", bearer=session["access_token"], json=body)

    def test_an_upload_is_dropped_as_well(self, caller, emulator):
        """A large body is taken in, and then the connection ends."""
        emulator.fail("resource", drop="before")
        with pytest.raises(httpx.RemoteProtocolError):
            caller.call("POST", "/resource", content=iter([b"x" * 65_536] * 200))


class TestDelay:
    def test_a_slow_answer_outlasts_the_clients_patience(self, caller, emulator, token):
        """The client gives up first; its connection alone is lost."""
        emulator.fail("token/refresh", delay=60)
        with pytest.raises(httpx.ReadTimeout):
            caller.refresh(token, timeout=0.05)
        assert emulator.rotations == 0
        assert caller.refresh(token).status_code == 200

    def test_a_delay_may_come_before_another_failure(self, caller, emulator, token):
        """One failure may be both slow and wrong."""
        emulator.fail("token/refresh", delay=0.001, status=500)
        assert caller.refresh(token).status_code == 500

    def test_a_delay_alone_changes_no_answer(self, caller, emulator, token):
        """A slow answer is still the answer."""
        emulator.fail("token/refresh", delay=0.001)
        assert caller.refresh(token).status_code == 200


class TestSchedule:
    def test_failures_come_in_the_order_they_were_asked_for(self, caller, emulator, token):
        """Each is used up before the next begins."""
        emulator.fail("token/refresh", status=503, times=2)
        emulator.fail("token/refresh", status=500)
        statuses = [caller.refresh(token).status_code for _ in range(4)]
        assert statuses == [503, 503, 500, 200]

    def test_an_outage_lasts_until_it_is_cleared(self, caller, emulator, token):
        """times=None has no end of its own."""
        emulator.fail("token/refresh", status=503, times=None)
        assert [caller.refresh(token).status_code for _ in range(3)] == [503] * 3
        emulator.clear_failures()
        assert caller.refresh(token).status_code == 200

    def test_other_routes_are_left_alone(self, caller, emulator):
        """A failure belongs to its route."""
        emulator.fail("token/refresh", status=503)
        assert caller.sign_in()["id"]
        assert emulator.calls("token/refresh") == 0
        assert emulator.calls("/auth/sign-in") == 1

    def test_the_end_of_a_name_may_mean_several_routes(self, caller, emulator):
        """A failure asked for by a shared ending is used up by whichever comes first."""
        emulator.fail("verify", status=503)
        assert caller.call("POST", "/v1/mfa/verify", json={}).status_code == 503
        assert caller.secret("POST", "/v1/sessions/verify", json={"token": "x"}).status_code == 200
        assert emulator.calls("verify") == 2

    @pytest.mark.parametrize("route", ["refresh-token", "oken/refresh", "", "/"])
    def test_a_misspelt_route_is_noticed(self, emulator, route):
        """The routes there are come with the error."""
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
    def test_what_is_no_failure_is_refused(self, emulator, failure):
        """A mistake in a test shows where it was made."""
        with pytest.raises(ConfigurationError):
            emulator.fail("token/refresh", **failure)


class TestHold:
    def test_requests_wait_until_the_block_is_left(self, caller, emulator, token):
        """A held request has arrived and has changed nothing; then it goes on."""
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
        """The rules have run, and the client does not know."""
        with ThreadPoolExecutor(1) as pool:
            with emulator.hold("token/refresh", when="after") as hold:
                answer = pool.submit(caller.refresh, token)
                hold.wait_arrived()
                assert emulator.rotations == 1
                assert not answer.done()
            assert answer.result(10).status_code == 200

    def test_it_can_be_released_early_and_holds_no_more(self, caller, emulator, token):
        """What comes later is not held, inside the block or behind it."""
        with ThreadPoolExecutor(1) as pool, emulator.hold("token/refresh") as hold:
            answer = pool.submit(caller.refresh, token)
            hold.wait_arrived()
            hold.release()
            token = answer.result(10).json()["refresh_token"]
            assert caller.refresh(token).status_code == 200

    def test_several_are_held_at_once_and_the_rest_is_served(self, caller, emulator):
        """Holding a route keeps no other from working."""
        tokens = [caller.sign_in()["refresh_token"] for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            with emulator.hold("token/refresh") as hold:
                answers = [pool.submit(caller.refresh, token) for token in tokens]
                hold.wait_arrived(4)
                assert caller.sign_in()["id"]
            assert [answer.result(10).status_code for answer in answers] == [200] * 4

    def test_a_held_request_whose_client_left_is_still_carried_out(self, caller, emulator, token):
        """A service does not know that nobody waits any more."""
        with emulator.hold("token/refresh") as hold:
            with pytest.raises(httpx.ReadTimeout):
                caller.refresh(token, timeout=0.2)
            hold.wait_arrived()
        with emulator.hold("token/refresh", when="after") as behind, ThreadPoolExecutor(1) as pool:
            answer = pool.submit(caller.refresh, token)
            behind.wait_arrived()
            behind.release()
            assert caller.code(answer.result(10)) == (401, "refresh_token_reused")

    def test_waiting_for_more_than_come_ends_with_an_error(self, emulator):
        """A test that waits in vain fails with the count, and does not hang."""
        with (
            emulator.hold("token/refresh") as hold,
            pytest.raises(TimeoutError, match="0 of 1 requests"),
        ):
            hold.wait_arrived(timeout=0.01)

    def test_a_request_that_meets_a_released_hold_goes_on(self, emulator):
        """A request that saw the hold just before its end does not wait for ever."""
        hold = emulator.hold("token/refresh")
        hold.release()
        assert hold.enter() is None
        assert not hold.arrived.is_set()

    def test_failures_and_holds_combine(self, caller, emulator, token):
        """A held request may then fail."""
        emulator.fail("token/refresh", status=503)
        with ThreadPoolExecutor(1) as pool:
            with emulator.hold("token/refresh") as hold:
                answer = pool.submit(caller.refresh, token)
                hold.wait_arrived()
            assert answer.result(10).status_code == 503


def test_counting_is_exact_under_load(caller, emulator):
    """Eight threads lose no count."""
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
    """Answers are dated by the emulator's time, which a client may compare expiries with."""
    emulator.advance(timedelta(seconds=40))
    answer = caller.call("GET", "/v1/auth/me")
    assert answer.headers["date"] == "Tue, 14 Nov 2023 22:14:00 GMT"
