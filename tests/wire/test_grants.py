"""What v1 grants: both answer shapes, lives measured by the server's own time, and junk."""

import json
from datetime import UTC, datetime

import pytest

from hellojohn._errors import ServiceUnavailable
from hellojohn._secret import Secret
from hellojohn._wire import ApiResponse, OutcomeKind, TokenResponse
from tests.wire.samples import DATE, ISSUED, dialect, reply, token, told_by

FLAT = {"access_token": "at_1", "refresh_token": "rt_1", "expires_in": 3600, "session_id": "ses_1"}
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


def granted(body: object, **more) -> TokenResponse:
    """Read the answer to a sign-in."""
    return dialect.read_grant(reply(200, body, **more))


def flat(**changes: object) -> dict[str, object]:
    """Make a flat answer; ``None`` takes a field away."""
    return {name: value for name, value in {**FLAT, **changes}.items() if value is not None}


def assert_unreadable(answer: ApiResponse) -> None:
    """Assert that a success that cannot be read is open for a sign-in and for a refresh."""
    with pytest.raises(ServiceUnavailable) as caught:
        dialect.read_grant(answer)
    assert caught.value.ambiguous
    assert dialect.outcome(answer).kind is OutcomeKind.UNKNOWN


def test_the_flat_shape_is_read():
    """Tokens beside each other, life in seconds."""
    assert granted(FLAT) == TokenResponse(Secret("at_1"), Secret("rt_1"), 3600.0, "ses_1")


def test_the_nested_shape_is_read():
    """Tokens in a session object, lives as points in time, the user beside it."""
    grant = granted(NESTED)
    assert grant.access_token == Secret(NESTED["session"]["access_token"])
    assert (grant.refresh_token, grant.ttl, grant.session_id) == (Secret("rt_1"), 900.0, "ses_1")
    assert grant.session_ttl == 30 * DAY
    assert grant.user is not None
    assert grant.user.email == "ada@example.com"


def test_a_created_answer_is_read_alike():
    """Sign-up answers 201."""
    assert dialect.read_grant(reply(201, FLAT)).ttl == 3600.0


def test_unknown_fields_and_odd_ids_are_no_matter():
    """The API may grow, and ids are opaque."""
    grant = granted(flat(session_id="0", token_type="bearer", scope=None, future={"a": [1]}))
    assert grant.session_id == "0"


@pytest.mark.parametrize(
    "body",
    [
        flat(session_id=None, sid="ses_2"),
        flat(session_id=None, access_token=token(sid="ses_2")),
        flat(session_id=None, access_token=token(session_id="ses_2", sid="other")),
        flat(session_id="", sid=7, access_token=token(session_id="ses_2")),
    ],
)
def test_the_session_id_is_found_wherever_it_is(body):
    """In the answer or in the token, as ``session_id`` or ``sid``."""
    assert granted(body).session_id == "ses_2"


def test_null_in_the_session_object_does_not_hide_what_lies_beside_it():
    """A half nested answer is read from both places."""
    assert granted({**FLAT, "session": {"id": "ses_9", "access_token": None}}).session_id == "ses_9"


@pytest.mark.parametrize("expires_in", ["3600", 3600.0, "3600.0"])
def test_a_life_may_come_as_text(expires_in):
    """Some gateways quote numbers."""
    assert granted(flat(expires_in=expires_in)).ttl == 3600.0


NO_LIFE = [None, 0, -1, True, False, "soon", "-5", "1e3", "", [], {}, "٣", "9" * 30]


@pytest.mark.parametrize("expires_in", NO_LIFE)
def test_a_senseless_life_is_taken_from_the_token(expires_in):
    """``exp - iat`` is the server's word as well."""
    body = flat(expires_in=expires_in, access_token=token(iat=ISSUED, exp=ISSUED + 900))
    assert granted(body).ttl == 900.0


@pytest.mark.parametrize("claims", [{}, {"iat": ISSUED, "exp": ISSUED}, {"iat": "x", "exp": True}])
def test_a_life_may_be_a_point_in_time(claims):
    """It is measured from the answer's own date, not from this machine's clock."""
    body = flat(expires_in=None, access_token=token(**claims), access_token_expires_at="2025-06-15T15:11:40")
    assert granted(body, headers={"date": DATE}).ttl == 300.0


def test_the_token_tells_the_time_before_the_header_does():
    """A proxy's ``Date`` may be off; ``iat`` is the clock that set the expiry."""
    body = flat(
        expires_in=None, access_token=token(iat=ISSUED), access_token_expires_at="2025-06-15T15:11:40Z"
    )
    assert granted(body, headers={"date": "Sun, 15 Jun 2025 00:00:00 GMT"}).ttl == 300.0


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}, {"date": "Sun, 99 Jun 2025 25:00:00 GMT"}])
def test_an_answer_that_names_no_life_is_taken_for_the_documented_one(headers):
    """To throw the tokens away would lose the session; our own clock is no measure for the server's time."""
    body = flat(expires_in=None, access_token_expires_at="2025-06-15T15:11:40Z")
    assert granted(body, headers=headers).ttl == 3600.0


@pytest.mark.parametrize("junk", [b"NaN", b"-Infinity"])
def test_a_life_that_is_no_number_costs_nobody_the_tokens(junk):
    """The rotated refresh token stands beside it, and is the only good one."""
    raw = b'{"access_token": "at", "refresh_token": "rt", "expires_in": %s}' % junk
    assert granted(None, raw=raw).ttl == 3600.0


@pytest.mark.parametrize("expires_in", [10**400, 1e308])
def test_a_life_without_measure_is_cut_at_a_century(expires_in):
    """A date can still be computed from it."""
    assert granted(flat(expires_in=expires_in)).ttl == 36_500 * DAY


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
def test_the_sessions_end_is_read_in_every_spelling(field, ttl):
    """With or without milliseconds and offset; a year beyond sense is a century."""
    body = flat(refresh_token_expires_at=field)
    assert granted(body, headers={"date": DATE}).session_ttl == pytest.approx(ttl)


SENSELESS_ENDS = [
    "2025-06-15T15:06:40Z",
    "1999-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "99999-01-01",
    "soon",
    "",
    1_760_000_000,
    None,
    [],
    "\ud800",
]


@pytest.mark.parametrize("field", SENSELESS_ENDS)
def test_a_senseless_end_of_the_session_is_no_end(field):
    """A session just granted is not over: what says so is not believed, and costs no one the session."""
    assert granted(flat(refresh_token_expires_at=field), headers={"date": DATE}).session_ttl is None


def test_the_sessions_end_is_unknown_without_the_servers_time():
    """Our own clock is no measure for the server's."""
    assert granted(flat(refresh_token_expires_at="2025-06-16T15:06:40Z")).session_ttl is None


def test_a_session_objects_own_end_comes_first():
    """``expires_at`` of the session says more than the refresh token's."""
    session = {"expires_at": "2025-06-15T16:06:40Z", "refresh_token_expires_at": "2025-06-16T15:06:40Z"}
    assert granted({**FLAT, "session": session}, headers={"date": DATE}).session_ttl == 3600.0


def test_expires_at_beside_the_tokens_is_not_the_sessions():
    """Other services call the access token's end that: taking it would end the session in an hour."""
    assert granted(flat(expires_at="2025-06-15T16:06:40Z"), headers={"date": DATE}).session_ttl is None


UNFIT_TOKENS = ["", 7, True, [], {}, "a b", "a\r\nX-Evil: 1", "a\n", "tökén", "\x00", "a\x7f", "\ud800"]


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
@pytest.mark.parametrize("unfit", UNFIT_TOKENS)
def test_a_token_that_could_break_a_header_is_no_token(name, unfit):
    """It never reaches a header or the store."""
    assert_unreadable(reply(200, flat(**{name: unfit})))


def test_an_access_token_is_needed():
    """Without one nothing was granted."""
    assert_unreadable(reply(200, flat(access_token=None)))


def test_a_refresh_may_keep_the_old_refresh_token():
    """An answer without one leaves the old one good; a wiped one would cost the session."""
    outcome = dialect.outcome(reply(200, flat(refresh_token=None)))
    assert outcome.kind is OutcomeKind.SUCCESS
    assert outcome.grant is not None
    assert outcome.grant.refresh_token is None


def test_a_sign_in_without_a_refresh_token_is_no_session():
    """It could never be kept alive."""
    with pytest.raises(ServiceUnavailable, match="cannot be understood") as caught:
        granted(flat(refresh_token=None))
    assert caught.value.ambiguous


WHOLE = json.dumps(FLAT).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html><body>Welcome to the hotel</body></html>",
        WHOLE[:-1],
        WHOLE[: len(WHOLE) // 2],
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"null",
        b"[]",
        b'"text"',
        b"3600",
        b"\xff\xfe\x00",
        WHOLE.decode().encode("utf-16"),
        b'{"access_token": "at", "refresh_token": "rt", "expires_in": ' + b"9" * 5_000 + b"}",
        b"x" * 10_000_000,
    ],
)
def test_a_success_that_says_nothing_stays_open(raw):
    """HTML, halves, depths and floods: the service may have done it, so nothing is thrown away."""
    assert_unreadable(reply(200, raw=raw))


def test_a_number_that_is_no_json_costs_nobody_the_tokens():
    """A careless server writes NaN into a field that nobody needs."""
    raw = WHOLE[:-1] + b', "user": {"id": "u", "score": NaN, "best": Infinity}}'
    user = granted(None, raw=raw).user
    assert user is not None
    assert user.extra == {}


def test_a_byte_order_mark_is_no_matter():
    """Some servers send one."""
    assert granted(None, raw=b"\xef\xbb\xbf" + WHOLE).ttl == 3600.0


def test_of_a_key_given_twice_the_last_counts():
    """As in every common reader of JSON, so that no two of them disagree about the token."""
    raw = b'{"access_token": "a", "access_token": "b", "refresh_token": "r", "expires_in": 1}'
    assert granted(None, raw=raw).access_token == Secret("b")


def test_an_infinite_life_is_cut_at_a_century():
    """JSON spells it as a number too large for a float."""
    raw = b'{"access_token": "a", "refresh_token": "r", "expires_in": 1e999}'
    assert granted(None, raw=raw).ttl == 36_500 * DAY


@pytest.mark.parametrize(
    "opaque",
    ["a", "a.b", "a.b.c", "....", "e30.e30.e30", token() + "=", "W10.W10.c2ln"],
)
def test_an_opaque_access_token_says_nothing(opaque):
    """A token that only looks like a JWT breaks nothing."""
    assert granted(flat(access_token=opaque)).ttl == 3600.0


def test_a_bottomless_token_says_nothing():
    """Nor does one whose claims are nested without end."""
    deep = token().split(".")
    bottomless = "W1tb" * 40_000
    assert granted(flat(access_token=f"{deep[0]}.{bottomless}.{deep[2]}")).session_id == "ses_1"


def test_a_user_is_read_whole():
    """Known fields by name, everything else as it came."""
    user = granted(
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


def test_a_users_wrong_types_are_left_out():
    """A field that is not what it should be is unknown, and costs nobody the sign-in."""
    told = {
        "id": "usr_1",
        "email": 7,
        "name": [],
        "username": "\ud800",
        "email_verified": "yes",
        "created_at": "0001-01-01T00:00:00+14:00",
    }
    user = granted({**FLAT, "user": told}).user
    assert user is not None
    assert {getattr(user, name) for name in told if name != "id"} == {None}


@pytest.mark.parametrize("user", [None, [], "ada", {}, {"id": ""}, {"id": 7}, {"email": "ada@example.com"}])
def test_a_user_without_an_id_is_none(user):
    """The sign-in counts all the same."""
    assert granted({**FLAT, "user": user}).user is None


def test_what_cannot_be_stored_of_a_user_is_left_out():
    """Depths, lone surrogates and infinities would break the record later, after the token was spent."""
    nested: object = 1
    for _ in range(20):
        nested = {"x": [nested]}
    body = {
        **FLAT,
        "user": {"id": "u", "deep": nested, "odd": ["\ud800"], "far": 1e999, "\ud801": 1, "fine": [1, None]},
    }
    raw = json.dumps(body).replace("Infinity", "1e999").encode()
    user = granted(None, raw=raw).user
    assert user is not None
    assert user.extra == {"fine": [1, None]}


def test_an_unreadable_answer_shows_no_token():
    """The traceback of the refusal has no local variable with what the answer held."""
    answer = reply(200, flat(access_token="MARKED-SECRET", refresh_token=[]), secrets=("MARKED-SECRET",))
    with pytest.raises(ServiceUnavailable) as caught:
        dialect.read_grant(answer)
    assert "MARKED-SECRET" not in told_by(caught.value)
