"""Sessions and settings with the secret key, on both dialects."""

from datetime import UTC, datetime

import pytest

from hellojohn._details import SessionInfo
from hellojohn._errors import (
    ApiError,
    ConfigurationError,
    NotFound,
    NotSupported,
    PermissionDenied,
    ServiceUnavailable,
    ValidationFailed,
)
from hellojohn._secret import Secret
from hellojohn._wire import RemoteCheck, SessionPage
from hellojohn._wire.v1 import V1
from hellojohn._wire.v2 import V2
from tests.wire.samples import KEY, SECRET_KEY, problem, reply, sent, talk, v1
from tests.wire.v2_samples import API_KEY, USER_ID, refused, v2

SESSION = {
    "id": "ses_1",
    "user_id": "usr_1",
    "tenant_id": "tnt_1",
    "status": "active",
    "user_agent": "Firefox",
    "ip_address": "203.0.113.7",
    "country": None,
    "device_type": "desktop",
    "created_at": "2024-01-10T09:00:00Z",
    "last_active_at": "2024-01-10T09:00:00.000Z",
    "expires_at": "soon",
}
INFO = SessionInfo(
    id="ses_1",
    user_id="usr_1",
    tenant_id="tnt_1",
    status="active",
    user_agent="Firefox",
    ip_address="203.0.113.7",
    device_type="desktop",
    created_at=datetime(2024, 1, 10, 9, tzinfo=UTC),
    last_active_at=datetime(2024, 1, 10, 9, tzinfo=UTC),
)
CONFIG = {
    "session_duration": "30d",
    "access_token_ttl": "1h",
    "idle_timeout": None,
    "max_sessions_per_user": 3,
}
WEB = {
    "id": "",
    "name": "web",
    "client_id": "web",
    "type": "confidential",
    "auth_profile": "spa",
    "providers": ["password"],
    "scopes": ["openid"],
    "secret_hash": "enc",
    "access_token_ttl": 900,
}
OTHER = {"client_id": "other", "access_token_ttl": 1}


# ---------------------------------------------------------------- v1


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ({}, "/v1/sessions?limit=20"),
        (
            {"user_id": "usr_1", "status": "active", "cursor": "a&b"},
            "/v1/sessions?user_id=usr_1&status=active&limit=20&cursor=a%26b",
        ),
    ],
)
def test_v1_lists_sessions(wanted, path):
    """The query has the filters that are given."""
    options = {"user_id": None, "status": None, "limit": 20, "cursor": None, **wanted}
    body = {"data": [SESSION, {"user_id": "without an id"}, 7], "pagination": {"next_cursor": "c2"}}
    (request,), page = talk(v1.admin.list_sessions(**options), reply(200, body))
    assert (request.method, request.path, request.bearer) == ("GET", path, SECRET_KEY)
    assert page == SessionPage((INFO,), "c2")


@pytest.mark.parametrize(
    "pagination",
    [{"next_cursor": None}, {}, None, {"has_more": False, "next_cursor": "c2"}],
)
def test_v1_last_page_has_no_cursor(pagination):
    """A cursor beside ``has_more: false`` is not followed."""
    conversation = v1.admin.list_sessions(user_id=None, status=None, limit=1, cursor=None)
    _, page = talk(conversation, reply(200, {"data": [], "pagination": pagination}))
    assert page == SessionPage((), None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": {}},
        [],
        *({"data": [], "pagination": more} for more in ({"has_more": True}, {"next_cursor": 7})),
    ],
)
def test_v1_page_without_data_is_not_an_answer(body):
    """An empty list would say that the user has no sessions."""
    conversation = v1.admin.list_sessions(user_id=None, status=None, limit=1, cursor=None)
    with pytest.raises(ServiceUnavailable):
        talk(conversation, reply(200, body))


@pytest.mark.parametrize("body", [SESSION, {"session": SESSION}])
def test_v1_reads_one_session(body):
    """The object, or an object that holds it."""
    (request,), session = talk(v1.admin.get_session("ses/1"), reply(200, body))
    assert (request.method, request.path, session) == ("GET", "/v1/sessions/ses%2F1", INFO)


def test_v1_missing_session_is_not_found():
    """The documents' own status says so."""
    with pytest.raises(NotFound):
        talk(v1.admin.get_session("ses_1"), problem(404, "session_not_found"))


def test_v1_ends_sessions():
    """One, or all of a user. The second path is an assumption of the SDK."""
    (request,), _ = talk(v1.admin.revoke_session("ses_1"), reply(204, raw=b""))
    assert (request.method, request.path, request.idempotent) == ("DELETE", "/v1/sessions/ses_1", True)
    (request,), _ = talk(v1.admin.revoke_all("usr_1"), reply(204, raw=b""))
    assert (request.method, request.path) == ("DELETE", "/v1/sessions?user_id=usr_1")
    with pytest.raises(ApiError, match=r"405 at /v1/sessions. This path is an assumption"):
        talk(v1.admin.revoke_all("usr_1"), problem(405, "method_not_allowed"))


@pytest.mark.parametrize("value", ["", "..", "a b", "x" * 999, "\ud800"])
def test_hostile_ids_are_refused(value):
    """An id may come from the address of a page."""
    for call in (v1.admin.get_session, v1.admin.revoke_session, v1.admin.revoke_all):
        with pytest.raises(ValidationFailed):
            call(value)


@pytest.mark.parametrize(
    ("answer", "check"),
    [
        (
            reply(200, {"valid": True, "session": SESSION, "claims": {"sub": "usr_1"}}),
            RemoteCheck(valid=True, session=INFO, claims={"sub": "usr_1"}),
        ),
        (reply(200, {"valid": True}), RemoteCheck(valid=True)),
        (reply(200, {"valid": False, "session": SESSION}), RemoteCheck(valid=False)),
        (problem(401, "session_revoked"), RemoteCheck(valid=False)),
        (problem(401, "token_expired"), RemoteCheck(valid=False)),
    ],
)
def test_v1_checks_a_token(answer, check):
    """The token goes in the body, masked."""
    (request,), found = talk(v1.admin.check_token(Secret("at_1")), answer)
    assert (request.method, request.path, sent(request)) == ("POST", "/v1/sessions/verify", {"token": "at_1"})
    assert (request.bearer, found) == (SECRET_KEY, check)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(401, "invalid_api_key"), ApiError),
        (problem(403, "insufficient_permissions"), PermissionDenied),
        (reply(200, {"valid": "yes"}), ServiceUnavailable),
        (reply(200, raw=b"<html>"), ServiceUnavailable),
        (reply(503, raw=b""), ServiceUnavailable),
    ],
)
def test_v1_check_that_says_nothing_is_an_error(answer, kind):
    """A wrong key must not make good tokens bad."""
    with pytest.raises(kind):
        talk(v1.admin.check_token(Secret("at_1")), answer)


def test_v1_reads_and_changes_settings():
    """Only the named settings are sent; ``None`` takes a limit away."""
    (request,), config = talk(v1.admin.get_config(), reply(200, {**CONFIG, "future": 1}))
    assert (request.method, request.path, config) == ("GET", "/v1/admin/config", CONFIG)
    changes = {"idle_timeout": "7d", "max_sessions_per_user": None}
    (request,), _ = talk(v1.admin.update_config(changes), reply(200, {**CONFIG, **changes}))
    assert (request.method, request.bearer, sent(request)) == ("PATCH", SECRET_KEY, changes)


@pytest.mark.parametrize("body", [{}, {"other": 1}, []])
def test_v1_answer_without_settings_is_not_an_answer(body):
    """It would show every limit as gone."""
    with pytest.raises(ServiceUnavailable):
        talk(v1.admin.get_config(), reply(200, body))


def test_v1_settings_of_wrong_types_are_unknown():
    """Texts and numbers are settings, other values are not."""
    _, config = talk(v1.admin.get_config(), reply(200, {"session_duration": [], "max_sessions_per_user": 3}))
    assert config == {**dict.fromkeys(CONFIG), "max_sessions_per_user": 3}


@pytest.mark.parametrize("admin", [V1("tnt_1", KEY).admin, V2("acme", "web").admin])
def test_admin_needs_the_secret_key(admin):
    """The first call that needs it says so."""
    with pytest.raises(
        ConfigurationError, match=r"admin.config.get needs secret_key: .*HELLOJOHN_SECRET_KEY"
    ):
        admin.get_config()
    with pytest.raises(ConfigurationError, match=r"sessions.revoke_all needs secret_key"):
        admin.revoke_all("usr_1")


# ---------------------------------------------------------------- v2


def test_v2_ends_all_sessions_of_a_user():
    """The API key has its own header, and is masked."""
    (request,), _ = talk(v2.admin.revoke_all(USER_ID), reply(200, {"revoked_count": 2}))
    assert (request.method, request.path) == ("POST", "/v2/admin/tenants/acme/tokens/revoke-by-user")
    assert (sent(request), request.headers["X-API-Key"]) == ({"user_id": USER_ID}, API_KEY)
    assert API_KEY.reveal() not in f"{request} {request.headers}"


@pytest.mark.parametrize(
    ("client", "config"),
    [
        (WEB, {"access_token_ttl": "15m", "session_duration": None}),
        (
            {**WEB, "access_token_ttl": 90, "refresh_token_ttl": 2_592_000},
            {"access_token_ttl": "90s", "session_duration": "30d"},
        ),
        (
            {**WEB, "access_token_ttl": -5, "refresh_token_ttl": "x"},
            {"access_token_ttl": None, "session_duration": None},
        ),
    ],
)
def test_v2_reads_the_lifetimes_of_the_client(client, config):
    """The settings that the server really has."""
    (request,), found = talk(v2.admin.get_config(), reply(200, [OTHER, client]))
    assert (request.method, request.path) == ("GET", "/v2/admin/tenants/acme/clients")
    assert found == config


def test_v2_writes_the_client_whole_and_reads_it_back():
    """The server replaces a client: a field that is not sent is lost."""
    changed = {**WEB, "access_token_ttl": 300, "refresh_token_ttl": 86_400}
    conversation = v2.admin.update_config({"access_token_ttl": "5m", "session_duration": "24h"})
    answers = reply(200, [OTHER, WEB]), reply(200, changed), reply(200, [changed])
    (_, write, _), config = talk(conversation, *answers)
    assert (write.method, write.path) == ("PUT", "/v2/admin/tenants/acme/clients/web")
    assert sent(write) == {name: value for name, value in changed.items() if name != "secret_hash"}
    assert config == {"access_token_ttl": "5m", "session_duration": "24h"}


def test_v2_lost_fields_are_reported():
    """A client without scopes issues tokens without scopes."""
    changed = {**WEB, "access_token_ttl": 300, "scopes": None, "providers": []}
    del changed["secret_hash"]
    conversation = v2.admin.update_config({"access_token_ttl": "5m"})
    with pytest.raises(
        ApiError, match="did not keep these fields of the client: providers, scopes, secret_hash"
    ):
        talk(conversation, reply(200, [WEB]), reply(200, changed), reply(200, [changed]))


@pytest.mark.parametrize("detail", ["invalid or expired API key", "invalid API key format"])
def test_v2_refused_key_is_named(detail):
    """The error of an API key that the server does not accept names the setting."""
    with pytest.raises(ApiError, match="HELLOJOHN_SECRET_KEY"):
        talk(v2.admin.update_config({"access_token_ttl": "5m"}), refused("UNAUTHORIZED", detail))


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([reply(200, [OTHER])], NotFound),
        ([reply(200, {"clients": []})], ServiceUnavailable),
        ([reply(200, raw=b"<html>")], ServiceUnavailable),
        ([refused("UNAUTHORIZED", "invalid or expired API key")], ApiError),
        (
            [reply(200, [WEB]), refused("FORBIDDEN", "readonly key cannot mutate", status=403)],
            PermissionDenied,
        ),
        ([reply(200, [WEB]), refused("INTERNAL_SERVER_ERROR", status=500)], ServiceUnavailable),
    ],
)
def test_v2_settings_that_cannot_be_changed(answers, kind):
    """Nothing is written before the client was read."""
    with pytest.raises(kind):
        talk(v2.admin.update_config({"access_token_ttl": "5m"}), *answers)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"idle_timeout": "7d"}, "idle_timeout: the open-source server"),
        ({"access_token_ttl": "5m", "max_sessions_per_user": 3}, "max_sessions_per_user: "),
        ({"access_token_ttl": None}, "access_token_ttl: .*needs a duration"),
    ],
)
def test_v2_refuses_settings_by_name(changes, named):
    """The message says which settings there are."""
    with pytest.raises(NotSupported, match=named):
        v2.admin.update_config(changes)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: v2.admin.list_sessions(user_id=None, status=None, limit=1, cursor=None), "sessions.list: "),
        (lambda: v2.admin.get_session("ses_1"), "sessions.get: "),
        (lambda: v2.admin.revoke_session("ses_1"), "sessions.revoke: .*sessions.revoke_all"),
        (lambda: v2.admin.check_token(Secret("at")), "verify_token_remote: .*verify_token"),
    ],
)
def test_v2_refuses_what_it_cannot_know(call, named):
    """The message says what to use instead."""
    with pytest.raises(NotSupported, match=named):
        call()
