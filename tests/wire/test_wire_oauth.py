"""Sign-in with a browser and tokens for services, on both dialects."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from hellojohn._errors import (
    ApiError,
    ChallengeExpired,
    ConfigurationError,
    MfaRequired,
    NotSupported,
    RateLimited,
    ServiceUnavailable,
    ValidationFailed,
)
from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._wire import ApiResponse, OAuthCode, Outcome, OutcomeKind, TokenResponse
from tests.wire.samples import FLAT, KEY, problem, reply, sent, shown_by, talk, token, v1
from tests.wire.v2_samples import MFA_REQUIRED, SIGNED_IN, USER_ID, oauth_refused, refused, v2

CALLBACK = "http://127.0.0.1:8765/callback"
BROWSER = {
    "redirect_uri": CALLBACK,
    "state": "st&1",
    "nonce": "nn",
    "code_challenge": "challenge",
    "scopes": ("openid",),
}


def code(provider: str | None = None) -> OAuthCode:
    """Return the code that a browser brought back."""
    return OAuthCode(
        code=Secret("cod_1"),
        code_verifier=Secret("verifier"),
        redirect_uri=CALLBACK,
        nonce="nn",
        provider=provider,
    )


def form(request) -> dict[str, str]:
    """Return the form as the server sees it."""
    assert request.header_values()["Content-Type"] == "application/x-www-form-urlencoded"
    return dict(parse_qsl((request.encode() or b"").decode()))


def with_id_token(**claims: object) -> ApiResponse:
    """Return v2's answer to a code. Its ID token has the claims of this sign-in, except the given ones."""
    usual = {"iss": "https://auth.example.com", "aud": "web", "sub": USER_ID, "nonce": "nn"}
    return reply(200, {**SIGNED_IN, "id_token": token(**{**usual, **claims}), "scope": "openid"})


# ---------------------------------------------------------------- v1


def test_v1_browser_begins_at_the_provider():
    """A browser sends no headers of an SDK: tenant and key are in the address."""
    url = urlsplit(v1.oauth.authorize_url(provider="google", **BROWSER))
    assert (url.scheme, url.netloc, url.path) == (
        "https",
        "api.example.com",
        "/v1/auth/oauth/google/authorize",
    )
    assert dict(parse_qsl(url.query)) == {
        "redirect_uri": CALLBACK,
        "state": "st&1",
        "code_challenge": "challenge",
        "code_challenge_method": "S256",
        "tenant_id": "tnt_1",
        "publishable_key": KEY.reveal(),
    }


def test_v1_exchanges_a_code():
    """The verifier and the address go with it."""
    conversation = v1.oauth.exchange_code(code("google"), duration="30d", device=None)
    (request,), tokens = talk(conversation, reply(200, FLAT))
    assert (request.path, request.bearer) == ("/v1/auth/oauth/google/callback", KEY)
    assert sent(request) == {
        "code": "cod_1",
        "code_verifier": "verifier",
        "redirect_uri": CALLBACK,
        "session_options": {"duration": "30d"},
    }
    assert (tokens.refresh_token, request.idempotent) == (Secret("rt_1"), False)


def test_v1_second_factor_after_a_provider():
    """The challenge is the same as after a password."""
    with pytest.raises(MfaRequired):
        talk(
            v1.oauth.exchange_code(code("google"), duration=None, device=None),
            problem(403, "mfa_required", challenge_id="ch_1"),
        )


@pytest.mark.parametrize("status", [400, 401, 410])
def test_v1_burnt_code_means_to_start_over(status):
    """The documents name no code for it."""
    with pytest.raises(ChallengeExpired, match="Start over"):
        talk(
            v1.oauth.exchange_code(code("google"), duration=None, device=None),
            problem(status, "oauth_code_invalid"),
        )


@pytest.mark.parametrize(
    "call",
    [
        lambda: v1.oauth.authorize_url(provider=None, **BROWSER),
        lambda: v1.oauth.exchange_code(code(), duration=None, device=None),
    ],
)
def test_v1_needs_a_provider(call):
    """The cloud API publishes no login page."""
    with pytest.raises(NotSupported, match="Name a provider"):
        call()


@pytest.mark.parametrize("provider", ["..", "a b", "x" * 999, ""])
def test_v1_refuses_a_hostile_provider(provider):
    """A provider may come from the address of a page, and becomes a part of the path."""
    with pytest.raises(ValidationFailed, match="provider"):
        v1.oauth.authorize_url(provider=provider, **BROWSER)


def test_v1_publishes_no_service_tokens():
    """The message names the back end's own key."""
    with pytest.raises(NotSupported, match=r"^service_auth and service_token: .*api=\"v2\".*secret_key"):
        v1.oauth.service_token(Secret("s"), scopes=())


# ---------------------------------------------------------------- v2


def test_v2_browser_begins_at_the_server():
    """The redirect address is compared as an exact text, so it is passed as it is."""
    url = urlsplit(v2.oauth.authorize_url(provider=None, **{**BROWSER, "scopes": ("openid", "email")}))
    assert (url.scheme, url.netloc, url.path) == ("https", "auth.example.com", "/oauth2/authorize")
    assert dict(parse_qsl(url.query)) == {
        "response_type": "code",
        "client_id": "web",
        "redirect_uri": CALLBACK,
        "scope": "openid email",
        "state": "st&1",
        "nonce": "nn",
        "code_challenge": "challenge",
        "code_challenge_method": "S256",
    }


def test_v2_exchanges_a_code():
    """OAuth takes a form. The code is sent once, because it works once."""
    answer = with_id_token()
    conversation = v2.oauth.exchange_code(code(), duration="30d", device=None)
    (request,), tokens = talk(conversation, answer)
    assert (request.method, request.path, request.idempotent) == ("POST", "/oauth2/token", False)
    assert form(request) == {
        "grant_type": "authorization_code",
        "code": "cod_1",
        "redirect_uri": CALLBACK,
        "client_id": "web",
        "code_verifier": "verifier",
    }
    assert tokens.refresh_token == Secret("rt_1")


def signed_in_with(answer: ApiResponse) -> TokenResponse:
    """Read an answer to a code."""
    return talk(v2.oauth.exchange_code(code(), duration=None, device=None), answer)[1]


@pytest.mark.parametrize("iss", ["https://auth.example.com", "https://auth.example.com/t/acme"])
@pytest.mark.parametrize(
    "audience", [{"aud": "web"}, {"aud": ["web"]}, {"aud": ["web", "api"], "azp": "web"}]
)
def test_v2_id_token_names_the_user(iss, audience):
    """The access token of a browser sign-in has an id only. The claims about the token are not the user's."""
    profile = {"email": "a@b.c", "email_verified": False, "name": "Ada", "preferred_username": "ada"}
    protocol = {
        "at_hash": "x",
        "auth_time": 1,
        "tid": "acme",
        "amr": ["pwd"],
        "acr": "1",
        "exp": 2,
    }
    user = signed_in_with(with_id_token(**protocol, **profile, **audience, iss=iss, given_name="A.")).user
    assert user == User(USER_ID, "a@b.c", "Ada", "ada", email_verified=False)
    assert user.extra == {"given_name": "A."}


def test_v2_id_token_may_hold_no_profile():
    """Which claims there are depends on the scopes. The sign-in needs none of them."""
    assert signed_in_with(with_id_token()).user == User(USER_ID)


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        *(({"nonce": nonce}, "another sign-in") for nonce in ("other", "", None, 7, "\ud800")),
        *(({"aud": aud}, "aud.*HELLOJOHN_CLIENT_ID") for aud in ("other", None, 7, [], ["other"], {})),
        ({"aud": ["web", "other"]}, "aud"),
        ({"aud": ["web", "other"], "azp": "other"}, "aud"),
        ({"aud": "web", "azp": "other"}, "aud"),
        *(({"sub": sub}, "sub") for sub in ("other", "", None, 7)),
    ],
)
def test_v2_wrong_id_token_is_refused(claims, named):
    """An attacker may have put in the code of another account. The error holds no token."""
    with pytest.raises(ApiError, match=named) as caught:
        signed_in_with(with_id_token(**claims))
    shown = shown_by(caught.value)
    assert ("rt_1" in shown, with_id_token(**claims).body.decode() in shown) == (False, False)


@pytest.mark.parametrize(
    "iss", ["https://evil.example", "https://auth.example.com/", "https://auth.example.com/t/x", None, 7, {}]
)
def test_v2_id_token_of_another_issuer_is_ignored(iss):
    """A back end may reach the server at another address than browsers: only the profile is missing then."""
    assert signed_in_with(with_id_token(iss=iss, email="a@b.c")).user == User(USER_ID)


@pytest.mark.parametrize("junk", ["", "x", "a.b.c", "a b.c", None, 7, {}, []])
def test_v2_junk_in_place_of_an_id_token_is_refused(junk):
    """The nonce cannot be found in it."""
    with pytest.raises(ApiError, match="another sign-in"):
        signed_in_with(reply(200, {**SIGNED_IN, "id_token": junk}))


def test_v2_answer_without_an_id_token_is_accepted():
    """PKCE and state protect the sign-in as well."""
    _, tokens = talk(v2.oauth.exchange_code(code(), duration=None, device=None), reply(200, SIGNED_IN))
    assert tokens.ttl == 899.0


def test_v2_refused_code_names_the_published_server():
    """That server refuses every code. The error carries neither code nor verifier."""
    answer = oauth_refused("invalid_grant", "Invalid or expired grant")
    with pytest.raises(ChallengeExpired, match=r"refuses every code.*auth.sign_in with a password") as caught:
        talk(v2.oauth.exchange_code(code(), duration=None, device=None), answer)
    shown = shown_by(caught.value)
    assert (caught.value.status, caught.value.code) == (400, "invalid_grant")
    assert ("cod_1" in shown, "verifier" in shown) == (False, False)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (oauth_refused("invalid_client", "Client authentication failed", status=401), ApiError),
        (oauth_refused("invalid_request", "Missing or invalid parameters"), ApiError),
        (refused("RATE_LIMIT_EXCEEDED", status=429), RateLimited),
        (reply(200, MFA_REQUIRED), MfaRequired),
        (reply(200, {"access_token": "at"}), ServiceUnavailable),
        (reply(502, raw=b""), ServiceUnavailable),
    ],
)
def test_v2_other_answers_to_a_code(answer, kind):
    """Each has its usual error."""
    with pytest.raises(kind):
        talk(v2.oauth.exchange_code(code(), duration=None, device=None), answer)


@pytest.mark.parametrize(
    "call",
    [
        lambda: v2.oauth.authorize_url(provider="google", **BROWSER),
        lambda: v2.oauth.exchange_code(code("google"), duration=None, device=None),
    ],
)
def test_v2_refuses_providers_by_name(call):
    """The server drops the state, so that any page could sign the user in."""
    with pytest.raises(NotSupported, match="drops the state"):
        call()


NO_SCOPES = [["a b"], [""], [7], [" a"], ["\ud800"], ["a\0"], ['a"b'], ["\u00e9"]]


@pytest.mark.parametrize("scopes", ["openid", *NO_SCOPES])
def test_v2_scopes_are_a_list_of_names(scopes):
    """A text would be sent letter by letter."""
    with pytest.raises(ConfigurationError, match="scopes must be a list"):
        v2.oauth.authorize_url(provider=None, **{**BROWSER, "scopes": scopes})


@pytest.mark.parametrize(
    ("scopes", "more"),
    [((), {}), (("a:read", "b"), {"scope": "a:read b"}), (iter(["a:read"]), {"scope": "a:read"})],
)
def test_v2_service_token(scopes, more):
    """It comes without a refresh token, and the secret is masked."""
    answer = {"access_token": "at_s", "token_type": "Bearer", "expires_in": 899, "scope": "a:read b"}
    (request,), outcome = talk(v2.oauth.service_token(Secret("s3cret"), scopes=scopes), reply(200, answer))
    assert form(request) == {
        "grant_type": "client_credentials",
        "client_id": "web",
        "client_secret": "s3cret",
        **more,
    }
    assert request.idempotent
    assert outcome.kind is OutcomeKind.SUCCESS
    assert outcome.tokens == TokenResponse(Secret("at_s"), None, 899.0)
    assert "s3cret" not in f"{request} {request.body}"


def asked_for_service(answer: ApiResponse) -> Outcome:
    """Return the outcome of asking for a service token."""
    return talk(v2.oauth.service_token(Secret("s3cret"), scopes=["a:read", "b"]), answer)[1]


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (oauth_refused("invalid_client", "Client authentication failed", status=401), "HELLOJOHN_CLIENT_ID"),
        (oauth_refused("invalid_scope", "Requested scope is invalid or not allowed"), "scopes: a:read, b"),
        (oauth_refused("unsupported_grant_type", "Grant type not supported"), "confidential"),
    ],
)
def test_v2_service_settings_that_are_wrong(answer, named):
    """They are final: a service does not ask again with the same settings."""
    outcome = asked_for_service(answer)
    assert outcome.kind is OutcomeKind.MISCONFIGURED
    assert isinstance(outcome.error, ConfigurationError)
    assert named in str(outcome.error)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(503, raw=b""), OutcomeKind.RETRY_LATER),
        (oauth_refused("invalid_client", "Words", status=503), OutcomeKind.RETRY_LATER),
        (reply(200, raw=b"<html>"), OutcomeKind.UNKNOWN),
        (reply(200, {"mfa_required": True, "mfa_token": "x"}), OutcomeKind.UNKNOWN),
        (reply(500, {"error": "invalid_client"}), OutcomeKind.UNKNOWN),
        (reply(403, raw=b"<html>"), OutcomeKind.FOREIGN_RESPONSE),
    ],
)
def test_v2_service_outage_is_not_a_wrong_setting(answer, kind):
    """A service tries again later."""
    outcome = asked_for_service(answer)
    assert outcome.kind is kind
    assert isinstance(outcome.error, ServiceUnavailable)


@pytest.mark.parametrize("ended", [401, 423])
def test_v2_service_has_no_session_to_end(ended):
    """The codes that end a user's session are errors of the settings for a service."""
    for code in ("user_disabled", "SESSION_EXPIRED", "REFRESH_TOKEN_REUSE"):
        assert asked_for_service(refused(code, status=ended)).kind is OutcomeKind.MISCONFIGURED


@pytest.mark.parametrize("named", ["DPoP", "mac", 7, None, ["bearer"]])
def test_v2_service_token_of_another_type(named):
    """A token that is not a bearer token cannot be sent as one: RFC 6749, section 7.1."""
    answer = {"access_token": "at_s", "token_type": named, "expires_in": 899}
    outcome = asked_for_service(reply(200, answer))
    assert (outcome.kind, outcome.tokens) == (OutcomeKind.MISCONFIGURED, None)
    assert "bearer" in str(outcome.error)


def test_v2_service_reads_no_more_than_the_token():
    """A session, a user and a refresh token in the answer, as on v1, are left out."""
    answer = {**FLAT, "user": {"id": "usr_1"}, "session": {"id": "s", "expires_at": "2099-01-01T00:00:00Z"}}
    assert asked_for_service(reply(200, answer)).tokens == TokenResponse(Secret("at_1"), None, 3600.0)


@pytest.mark.parametrize("scopes", ["a:read", None, 7, *NO_SCOPES])
def test_v2_service_scopes_are_a_list_of_names(scopes):
    """A text would be sent letter by letter, and a missing list would ask for everything."""
    with pytest.raises(ConfigurationError, match="scopes must be a list"):
        v2.oauth.service_token(Secret("s3cret"), scopes=scopes)


@pytest.mark.parametrize("secret", ["", "s3cret\n", "s3 cret", "s3cr\u00e9t", "\ud800", None, b"s3cret"])
def test_unusable_client_secret_is_refused(secret):
    """It comes from the settings of a program, so that the mistake is the developer's."""
    with pytest.raises(ConfigurationError, match="client_secret must be") as caught:
        v2.oauth.service_token(Secret(secret), scopes=[])
    assert "s3" not in shown_by(caught.value)
