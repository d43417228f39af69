"""The tokens of a sign-in and a refresh: both answer shapes, lives by the server's time, and junk."""

import json
from datetime import UTC, datetime

import pytest

from hellojohn._errors import ServiceUnavailable
from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._wire import ApiResponse, OutcomeKind, TokenResponse
from tests.wire.samples import DATE, FLAT, ISSUED, reply, shown_by, token, v1

NESTED = {
    "user": {"id": "usr_1", "email": "ada@example.com"},
    "session": {
        "id": "ses_1",
        "access_token": token(iat=ISSUED, exp=ISSUED + 900),
        "refresh_token": "rt_1",
        "access_token_expires_at": "2025-06-15T15:21:40Z",
        "refresh_token_expires_at": "2025-07-15T15:06:40.000Z",
    },
}
DAY = 86_400.0


def signed_in(body: object, **more) -> TokenResponse:
    """Read the answer to a sign-in."""
    return v1.read_tokens(reply(200, body, **more))


def flat(**changes: object) -> dict[str, object]:
    """Return a flat answer. ``None`` takes a field away."""
    return {name: value for name, value in {**FLAT, **changes}.items() if value is not None}


def assert_unreadable(answer: ApiResponse) -> None:
    """Assert that a success that cannot be read is ambiguous for a sign-in and for a refresh."""
    with pytest.raises(ServiceUnavailable, match="cannot be understood") as caught:
        v1.read_tokens(answer)
    assert caught.value.ambiguous
    assert v1.outcome(answer).kind is OutcomeKind.UNKNOWN


def test_flat_shape_is_read():
    """Tokens at the top level, the life in seconds."""
    assert signed_in(FLAT) == TokenResponse(Secret("at_1"), Secret("rt_1"), 3600.0, "ses_1")


def test_nested_shape_is_read():
    """Tokens in a session object, lives as points in time, the user beside it."""
    tokens = signed_in(NESTED)
    assert tokens.access_token == Secret(NESTED["session"]["access_token"])
    assert (tokens.refresh_token, tokens.ttl, tokens.session_id) == (Secret("rt_1"), 900.0, "ses_1")
    assert tokens.session_ttl == 30 * DAY
    assert tokens.user == User("usr_1", "ada@example.com")


def test_sign_up_is_read_like_a_sign_in():
    """It answers 201, and always signs in."""
    tokens = v1.read_sign_up(reply(201, FLAT))
    assert tokens is not None
    assert tokens.ttl == 3600.0


def test_unknown_fields_are_ignored():
    """The service may add fields, and ids are opaque."""
    tokens = signed_in(flat(session_id="0", token_type="bearer", scope=None, future={"a": [1]}))
    assert tokens.session_id == "0"


@pytest.mark.parametrize(
    "body",
    [
        flat(session_id=None, sid="ses_2"),
        flat(session_id=None, access_token=token(sid="ses_2")),
        flat(session_id=None, access_token=token(session_id="ses_2", sid="other")),
        flat(session_id="", sid=7, access_token=token(session_id="ses_2")),
    ],
)
def test_session_id_is_found_wherever_it_is(body):
    """In the answer or in the token, as ``session_id`` or ``sid``."""
    assert signed_in(body).session_id == "ses_2"


def test_null_in_the_session_object_hides_nothing():
    """A half nested answer is read from both places."""
    assert signed_in({**FLAT, "session": {"id": "ses_9", "access_token": None}}).session_id == "ses_9"


@pytest.mark.parametrize("expires_in", ["3600", 3600.0, "3600.0"])
def test_life_may_be_text(expires_in):
    """Some gateways quote numbers."""
    assert signed_in(flat(expires_in=expires_in)).ttl == 3600.0


NO_LIFE = [None, 0, -1, True, False, "soon", "-5", "1e3", "", [], {}, "٣", "9" * 30]


@pytest.mark.parametrize("expires_in", NO_LIFE)
def test_unusable_life_is_taken_from_the_token(expires_in):
    """``exp - iat`` is the server's word as well."""
    body = flat(expires_in=expires_in, access_token=token(iat=ISSUED, exp=ISSUED + 900))
    assert signed_in(body).ttl == 900.0


def test_life_of_zero_is_a_second():
    """The server rounds down. An hour would be wrong, and no life at all would refresh for ever."""
    assert signed_in(flat(expires_in=0)).ttl == 1.0
    assert signed_in(flat(expires_in="0", access_token=token(iat=ISSUED, exp=ISSUED))).ttl == 1.0


@pytest.mark.parametrize("claims", [{}, {"iat": ISSUED, "exp": ISSUED}, {"iat": "x", "exp": True}])
def test_life_may_be_a_point_in_time(claims):
    """It is measured from the answer's own date, not from this machine's clock."""
    body = flat(expires_in=None, access_token=token(**claims), access_token_expires_at="2025-06-15T15:11:40")
    assert signed_in(body, headers={"date": DATE}).ttl == 300.0


def test_iat_goes_before_the_date_header():
    """A proxy's ``Date`` may be off; ``iat`` is of the clock that set the expiry."""
    body = flat(
        expires_in=None, access_token=token(iat=ISSUED), access_token_expires_at="2025-06-15T15:11:40Z"
    )
    assert signed_in(body, headers={"date": "Sun, 15 Jun 2025 00:00:00 GMT"}).ttl == 300.0


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}, {"date": "Sun, 99 Jun 2025 25:00:00 GMT"}])
def test_missing_life_is_the_documented_one(headers):
    """Dropping the tokens would lose the session."""
    body = flat(expires_in=None, access_token_expires_at="2025-06-15T15:11:40Z")
    assert signed_in(body, headers=headers).ttl == 3600.0


@pytest.mark.parametrize("junk", [b"NaN", b"-Infinity"])
def test_life_that_is_not_a_number_loses_no_tokens(junk):
    """The rotated refresh token stands beside it, and is the only good one."""
    raw = b'{"access_token": "at", "refresh_token": "rt", "expires_in": %s}' % junk
    assert signed_in(None, raw=raw).ttl == 3600.0


@pytest.mark.parametrize("expires_in", [10**400, 1e308])
def test_endless_life_is_cut_at_a_century(expires_in):
    """A date can still be computed from it."""
    assert signed_in(flat(expires_in=expires_in)).ttl == 36_500 * DAY


def test_infinite_life_is_cut_at_a_century():
    """JSON can spell a number that is too large for a float."""
    raw = b'{"access_token": "a", "refresh_token": "r", "expires_in": 1e999}'
    assert signed_in(None, raw=raw).ttl == 36_500 * DAY


@pytest.mark.parametrize(
    ("field", "ttl"),
    [
        ("2025-06-16T15:06:40Z", DAY),
        ("2025-06-16T15:06:40.123Z", DAY + 0.123),
        ("2025-06-16T17:06:40+02:00", DAY),
        ("2025-06-16T15:06:40", DAY),
        ("9999-12-31T23:59:59Z", 36_500 * DAY),
    ],
)
def test_end_of_the_session_is_read_in_every_spelling(field, ttl):
    """With or without milliseconds and offset."""
    body = flat(refresh_token_expires_at=field)
    assert signed_in(body, headers={"date": DATE}).session_ttl == pytest.approx(ttl)


UNUSABLE_ENDS = [
    *("2025-06-15T15:06:40Z", "1999-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "99999-01-01"),
    *("soon", "", 1_760_000_000, None, [], "\ud800"),
]


@pytest.mark.parametrize("field", UNUSABLE_ENDS)
def test_unusable_end_of_the_session_is_unknown(field):
    """A session that was just granted has not ended."""
    assert signed_in(flat(refresh_token_expires_at=field), headers={"date": DATE}).session_ttl is None


def test_end_of_the_session_needs_the_servers_time():
    """This machine's clock may be wrong."""
    assert signed_in(flat(refresh_token_expires_at="2025-06-16T15:06:40Z")).session_ttl is None


def test_end_in_the_session_object_goes_first():
    """``expires_at`` of a session object is the session's end, where it is later than the access token's."""
    session = {"expires_at": "2025-06-15T20:06:40Z", "refresh_token_expires_at": "2025-06-16T15:06:40Z"}
    assert signed_in({**FLAT, "session": session}, headers={"date": DATE}).session_ttl == 5 * 3600.0


def test_end_of_the_access_token_is_not_the_sessions():
    """Some answers call the access token's end ``expires_at``: taking it would sign the user out early."""
    session = {
        "access_token": token(iat=ISSUED),
        "refresh_token": "rt_1",
        "expires_at": "2025-06-15T15:21:40Z",
    }
    tokens = signed_in({"user": {"id": "usr_1"}, "session": session})
    assert (tokens.ttl, tokens.session_ttl) == (900.0, None)
    assert signed_in(flat(expires_at="2025-06-15T16:06:40Z"), headers={"date": DATE}).session_ttl is None


UNFIT_TOKENS = ["", 7, True, [], {}, "a b", "a\r\nX-Evil: 1", "a\n", "tökén", "\x00", "a\x7f", "\ud800"]


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
@pytest.mark.parametrize("unfit", UNFIT_TOKENS)
def test_token_that_could_break_a_header_is_unreadable(name, unfit):
    """It never reaches a header or the store."""
    assert_unreadable(reply(200, flat(**{name: unfit})))


def test_access_token_is_needed():
    """Without one nothing was granted."""
    assert_unreadable(reply(200, flat(access_token=None)))


def test_refresh_may_keep_the_old_refresh_token():
    """An answer without one leaves the old one good. Wiping it would lose the session."""
    outcome = v1.outcome(reply(200, flat(refresh_token=None)))
    assert outcome.kind is OutcomeKind.SUCCESS
    assert outcome.tokens is not None
    assert outcome.tokens.refresh_token is None


def test_sign_in_without_a_refresh_token_is_refused():
    """Such a session could not be kept alive."""
    with pytest.raises(ServiceUnavailable, match="cannot be understood") as caught:
        signed_in(flat(refresh_token=None))
    assert caught.value.ambiguous


WHOLE = json.dumps(FLAT).encode()


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"<html><body>Welcome to the hotel</body></html>", WHOLE[:-1], WHOLE[: len(WHOLE) // 2]),
        *(b"[" * 100_000, b'{"a":' * 100_000, b"null", b"[]", b'"text"', b"3600", b"\xff\xfe\x00"),
        WHOLE.decode().encode("utf-16"),
        b'{"access_token": "at", "refresh_token": "rt", "expires_in": ' + b"9" * 5_000 + b"}",
        b"x" * 10_000_000,
    ],
)
def test_success_that_says_nothing_is_ambiguous(raw):
    """HTML, halves, depths and floods: the service may have carried out the request."""
    assert_unreadable(reply(200, raw=raw))


def test_number_that_is_not_json_loses_no_tokens():
    """A careless server writes NaN into a field that is not needed."""
    raw = WHOLE[:-1] + b', "user": {"id": "u", "score": NaN, "best": Infinity}}'
    user = signed_in(None, raw=raw).user
    assert user is not None
    assert user.extra == {}


def test_byte_order_mark_is_skipped():
    """Some servers send one."""
    assert signed_in(None, raw=b"\xef\xbb\xbf" + WHOLE).ttl == 3600.0


def test_last_of_repeated_keys_counts():
    """As in every common reader of JSON, so that no two of them disagree about the token."""
    raw = b'{"access_token": "a", "access_token": "b", "refresh_token": "r", "expires_in": 1}'
    assert signed_in(None, raw=raw).access_token == Secret("b")


@pytest.mark.parametrize(
    "opaque",
    [
        "a",
        "a.b",
        "a.b.c",
        "....",
        "e30.e30.e30",
        token() + "=",
        "W10.W10.c2ln",
        "a.!!!.b",
        "a." + "W1tb" * 9_999,
    ],
)
def test_opaque_access_token_says_nothing(opaque):
    """A token that only looks like a JWT breaks nothing."""
    tokens = signed_in(flat(access_token=opaque))
    assert (tokens.ttl, tokens.session_id, tokens.user) == (3600.0, "ses_1", None)


def test_bottomless_claims_say_nothing():
    """Nor does a token whose claims are nested without end."""
    header, _, signature = token().split(".")
    assert signed_in(flat(access_token=f"{header}.{'W1tb' * 40_000}.{signature}")).session_id == "ses_1"


def test_user_is_read_whole():
    """Known fields by name, all others as they came."""
    user = signed_in(
        {
            **FLAT,
            "user": {
                "id": "usr_1",
                "email": "ada@example.com",
                "name": "Ada",
                "username": "ada",
                "email_verified": True,
                "created_at": "2024-01-02T03:04:05+01:00",
                "metadata": {"plan": "pro"},
            },
        }
    ).user
    assert user is not None
    assert (user.id, user.email, user.name, user.username) == ("usr_1", "ada@example.com", "Ada", "ada")
    assert user.email_verified is True
    assert user.created_at == datetime(2024, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert user.extra == {"metadata": {"plan": "pro"}}


def test_flat_answer_takes_the_user_from_the_token():
    """Who signed in is known after every sign-in."""
    body = flat(access_token=token(sub="usr_1", email="ada@example.com"))
    assert signed_in(body).user == User("usr_1", "ada@example.com")


def test_refresh_does_not_take_the_user_from_the_token():
    """The record of the sign-in knows more."""
    outcome = v1.outcome(reply(200, flat(access_token=token(sub="usr_1"))))
    assert outcome.tokens is not None
    assert outcome.tokens.user is None


def test_values_of_wrong_types_are_left_out_of_a_user():
    """They are unknown then, and the sign-in counts."""
    sent = {
        "id": "usr_1",
        "email": 7,
        "name": [],
        "username": "\ud800",
        "email_verified": "yes",
        "created_at": "0001-01-01T00:00:00+14:00",
    }
    user = signed_in({**FLAT, "user": sent}).user
    assert user is not None
    assert {getattr(user, name) for name in sent if name != "id"} == {None}


@pytest.mark.parametrize("user", [None, [], "ada", {}, {"id": ""}, {"id": 7}, {"email": "ada@example.com"}])
def test_user_without_an_id_is_unknown(user):
    """The sign-in counts nevertheless."""
    assert signed_in({**FLAT, "user": user}).user is None


def test_values_that_cannot_be_stored_are_left_out_of_a_user():
    """Depths, lone surrogates and infinities would break the record after the token was used."""
    nested: object = 1
    for _ in range(20):
        nested = {"x": [nested]}
    body = {
        **FLAT,
        "user": {"id": "u", "deep": nested, "odd": ["\ud800"], "far": 1e999, "\ud801": 1, "fine": [1, None]},
    }
    raw = json.dumps(body).replace("Infinity", "1e999").encode()
    user = signed_in(None, raw=raw).user
    assert user is not None
    assert user.extra == {"fine": [1, None]}


def test_remembered_device_is_read():
    """The next sign-in on this device needs no second factor."""
    assert signed_in(flat(device_token="dvc_1")).device_token == Secret("dvc_1")
    assert signed_in(flat(device_token="a b")).device_token is None


def test_unreadable_answer_shows_no_token():
    """The traceback of the error has no local variable with the answer's content."""
    answer = reply(200, flat(access_token="MARKED-SECRET", refresh_token=[]), secrets=("MARKED-SECRET",))
    with pytest.raises(ServiceUnavailable) as caught:
        v1.read_tokens(answer)
    assert "MARKED-SECRET" not in shown_by(caught.value)
