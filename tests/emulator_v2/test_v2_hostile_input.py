"""Bad requests to the emulated open-source server: each gets a refusal, and the server goes on."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hellojohn.emulator import Emulator
from tests.emulator_v2.calls import App

POSTS = (
    *("auth/login", "auth/register", "auth/refresh", "auth/logout", "auth/logout-all", "auth/forgot"),
    *("auth/reset", "auth/verify-email/start", "session/login", "mfa/totp/challenge", "mfa/email/send"),
)
FIELDS = (
    *("tenant_id", "client_id", "email", "password", "refresh_token", "user_id", "token", "new_password"),
    *("mfa_token", "code", "recovery", "remember_device", "custom_fields", "redirect_uri"),
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
    st.sampled_from(["local", "app", "demo@example.com", "\ud800"]),
)


@pytest.fixture(scope="module")
def shared():
    """One emulator for many requests."""
    import httpx  # noqa: PLC0415

    with Emulator(api="v2") as running, httpx.Client(base_url=running.url, verify=False) as http:
        yield App(running, http)


@pytest.mark.parametrize("path", POSTS)
@settings(max_examples=40, deadline=None)
@given(body=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6))
def test_any_json_gets_an_answer(shared, path, body):
    """Whatever the fields hold, the answer is one that the server gives, never a crash of the emulator."""
    text = json.dumps(body)
    headers = {"Content-Type": "application/json", "Authorization": "Bearer x"}
    response = shared.http.post(f"/v2/{path}", content=text, headers=headers)
    assert response.status_code in {200, 202, 204, 400, 401, 403, 404, 423, 500}
    if response.content:
        assert "code" in response.json() or response.status_code < 300
    assert "Traceback" not in response.text


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'"x"', b"{", b"\xff\xfe", b"[" * 100_000, b'{"email": NaN}', b"x" * 70_000]
)
def test_a_body_that_is_no_object_is_refused(shared, path, body):
    """A body that is empty, cut, foreign or deep is called invalid JSON."""
    headers = {"Content-Type": "application/json", "X-Tenant-ID": "local"}
    response = shared.http.post(f"/v2/{path}", content=body, headers=headers)
    assert response.status_code in {400, 403, 404}
    assert response.json()["code"] in {
        *("INVALID_JSON", "BAD_REQUEST", "CSRF_TOKEN_MISSING", "MISSING_FIELDS", "TENANT_NOT_FOUND")
    }


@pytest.mark.parametrize(
    "form", [b"", b"%ff=%ff", b"grant_type=refresh_token&" + b"a=b&" * 1_000, b"\xff", b"grant_type"]
)
def test_a_bad_form_is_refused(shared, form):
    """The token endpoint answers in the shape of RFC 6749."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = shared.http.post("/oauth2/token", content=form, headers=headers)
    assert response.json()["error"] in {"unsupported_grant_type", "invalid_request"}


@pytest.mark.parametrize("credentials", ["Basic", "Basic !", "Basic /w==", "Basic Og=="])
def test_bad_basic_credentials_are_refused(shared, credentials):
    """What cannot be read names no client."""
    headers = {"Authorization": credentials}
    response = shared.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, headers=headers)
    assert response.json()["error"] == "invalid_request"


@pytest.mark.parametrize("token", ["a.b.c", "a" * 100_000, "..", "\x7f", "eyJhbGciOiJub25lIn0.e30."])
def test_a_bad_access_token_is_refused(shared, token):
    """The server refuses junk like any bad token."""
    for path in ("/v2/me", "/userinfo", "/resource", "/v2/mfa/factors"):
        response = shared.http.get(path, headers={"Authorization": f"Bearer {token}", "X-Tenant-ID": "local"})
        assert response.status_code == 401


def test_a_large_body_is_refused(shared):
    """A body of more than 1 MiB is not read to its end."""
    response = shared.http.post("/v2/auth/register", content=b"x" * 1_100_000)
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_JSON")
