"""Magic links, passwords and the verification of addresses, on both dialects."""

import pytest

from hellojohn._details import Device, PasswordPolicy
from hellojohn._errors import (
    ApiError,
    ChallengeExpired,
    ConfigurationError,
    InvalidCredentials,
    NotSupported,
    RateLimited,
    ServiceUnavailable,
    ValidationFailed,
)
from hellojohn._secret import Secret
from tests.wire.samples import ACCESS_TOKEN, ADA, FLAT, KEY, problem, reply, sent, talk, v1
from tests.wire.v2_samples import refused, v2

LINK = Secret("https://app.example.com/x?token=lnk_1")
NEW = Secret("new horse")
DONE = reply(204, raw=b"")
SENT = reply(200, {"status": "ok"})
CLIENT = {"tenant_id": "acme", "client_id": "web"}
POLICY = {
    "configured": True,
    "tenant_id": "uuid",
    "min_length": 12,
    "max_length": 128,
    "require_uppercase": True,
    "require_lowercase": True,
    "require_numbers": True,
    "require_symbols": False,
    "max_history": 0,
    "common_password": True,
    "personal_info": True,
}


# ---------------------------------------------------------------- v1


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (v1.links.send_magic_link, "/v1/auth/magic-link"),
        (v1.links.send_password_reset, "/v1/auth/password/forgot"),
        (
            lambda email, redirect_to: v1.links.send_email_verification(
                email, who=None, redirect_to=redirect_to
            ),
            "/v1/auth/email/verify/send",
        ),
    ],
)
def test_v1_sends_mails(call, path):
    """The app's page is named when it is given."""
    (request,), _ = talk(call("ada@example.com", redirect_to=None), SENT)
    assert (request.method, request.path, request.bearer) == ("POST", path, KEY)
    assert sent(request) == {"email": "ada@example.com"}
    (request,), _ = talk(call("ada@example.com", redirect_to="https://app.example.com/in"), SENT)
    assert sent(request) == {"email": "ada@example.com", "redirect_to": "https://app.example.com/in"}


def test_v1_verifies_the_address_of_the_signed_in_user():
    """Without an address the user's own is meant."""
    conversation = v1.links.send_email_verification(None, who=ADA, redirect_to="https://app.example.com")
    (request,), _ = talk(conversation, SENT)
    assert (request.bearer, sent(request)) == (ACCESS_TOKEN, {"redirect_to": "https://app.example.com"})


def test_v1_needs_an_address_or_a_user():
    """Nothing can be verified otherwise."""
    with pytest.raises(ConfigurationError, match=r"email=... or a signed-in user"):
        v1.links.send_email_verification(None, who=None, redirect_to=None)


def test_v1_signs_in_with_a_magic_link():
    """The link can be the whole address, and the session options go with it."""
    device = Device(user_agent="Firefox")
    conversation = v1.links.verify_magic_link(LINK, duration="30d", device=device)
    (request,), tokens = talk(conversation, reply(200, FLAT))
    assert (request.path, request.bearer) == ("/v1/auth/magic-link/verify", KEY)
    assert sent(request) == {"token": "lnk_1", "session_options": {"duration": "30d"}}
    assert (request.headers["User-Agent"], tokens.refresh_token) == ("Firefox", Secret("rt_1"))


def test_v1_sets_a_new_password_with_a_link():
    """The answer has no tokens."""
    (request,), result = talk(v1.links.confirm_password_reset(LINK, NEW), DONE)
    assert (request.path, request.bearer, result) == ("/v1/auth/password/reset", KEY, None)
    assert sent(request) == {"token": "lnk_1", "new_password": "new horse"}


def test_v1_verifies_an_address():
    """The token goes in the body, so that no log shows it."""
    (request,), _ = talk(v1.links.verify_email(Secret("lnk_1")), DONE)
    assert (request.method, request.path, sent(request)) == (
        "POST",
        "/v1/auth/email/verify",
        {"token": "lnk_1"},
    )


def test_v1_changes_a_password():
    """The user's own token is the credential."""
    conversation = v1.links.change_password(ADA, current=Secret("old horse"), new=NEW)
    (request,), _ = talk(conversation, DONE)
    assert (request.path, request.bearer) == ("/v1/auth/password/change", ACCESS_TOKEN)
    assert sent(request) == {"current_password": "old horse", "new_password": "new horse"}


@pytest.mark.parametrize("status", [400, 401, 410])
def test_v1_unknown_refusal_of_a_link_is_an_ended_one(status):
    """The documents name no code for it."""
    for conversation in (
        v1.links.verify_magic_link(LINK, duration=None, device=None),
        v1.links.confirm_password_reset(LINK, NEW),
        v1.links.verify_email(LINK),
    ):
        with pytest.raises(ChallengeExpired, match="Ask for a new one"):
            talk(conversation, problem(status, "a_code_of_next_year"))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(422, "password_too_weak"), ValidationFailed),
        (problem(401, "invalid_publishable_key"), ApiError),
        (problem(429, "rate_limit_exceeded"), RateLimited),
        (reply(502, raw=b""), ServiceUnavailable),
    ],
)
def test_v1_known_refusal_of_a_link_keeps_its_meaning(answer, kind):
    """A weak password leaves the link good."""
    with pytest.raises(kind) as caught:
        talk(v1.links.confirm_password_reset(LINK, NEW), answer)
    assert type(caught.value) is kind


def test_v1_wrong_password_at_a_change_is_invalid_credentials():
    """The person mistyped the current password."""
    with pytest.raises(InvalidCredentials):
        talk(v1.links.change_password(ADA, current=NEW, new=NEW), problem(401, "invalid_credentials"))


@pytest.mark.parametrize(
    ("conversation", "path"),
    [
        (lambda: v1.links.verify_magic_link(LINK, duration=None, device=None), "/v1/auth/magic-link/verify"),
        (lambda: v1.links.confirm_password_reset(LINK, NEW), "/v1/auth/password/reset"),
        (lambda: v1.links.verify_email(LINK), "/v1/auth/email/verify"),
        (
            lambda: v1.links.send_email_verification("a@b.c", who=None, redirect_to=None),
            "/v1/auth/email/verify/send",
        ),
    ],
)
def test_v1_unpublished_paths_are_named(conversation, path):
    """A 404 of the service says that the path is an assumption."""
    with pytest.raises(ApiError, match=rf"404 at {path}. This path is an assumption of the SDK"):
        talk(conversation(), problem(404, "not_found"))


def test_v1_publishes_no_password_policy():
    """An app can show the service's message on a weak password."""
    with pytest.raises(NotSupported, match="password_policy: the cloud API"):
        v1.links.password_policy()


# ---------------------------------------------------------------- v2


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (v2.links.send_password_reset, "/v2/auth/forgot"),
        (
            lambda email, redirect_to: v2.links.send_email_verification(
                email, who=None, redirect_to=redirect_to
            ),
            "/v2/auth/verify-email/start",
        ),
    ],
)
def test_v2_sends_mails(call, path):
    """The server calls the app's page ``redirect_uri``."""
    (request,), _ = talk(call("ada@example.com", redirect_to=None), SENT)
    assert (request.path, request.headers) == (path, {"X-Tenant-ID": "acme"})
    assert sent(request) == {**CLIENT, "email": "ada@example.com"}
    (request,), _ = talk(call("ada@example.com", redirect_to="http://127.0.0.1:8765/x"), SENT)
    assert sent(request)["redirect_uri"] == "http://127.0.0.1:8765/x"


def test_v2_sets_a_new_password_with_a_link():
    """The link of the mail is not a page: the app takes its token."""
    (request,), _ = talk(v2.links.confirm_password_reset(LINK, NEW), DONE)
    assert request.path == "/v2/auth/reset"
    assert sent(request) == {**CLIENT, "token": "lnk_1", "new_password": "new horse"}


def test_v2_verifies_an_address_without_showing_the_token():
    """The server takes the token in the query only."""
    (request,), _ = talk(v2.links.verify_email(LINK), reply(200, {"status": "verified"}))
    assert (request.method, request.path) == ("GET", "/v2/auth/verify-email?tenant_id=acme&client_id=web")
    assert request.target() == "/v2/auth/verify-email?tenant_id=acme&client_id=web&token=lnk_1"
    assert "lnk_1" not in repr(request)
    assert not request.idempotent


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused("BAD_REQUEST", "token invalid or expired", status=400), ChallengeExpired),
        (refused("BAD_REQUEST", "password does not meet policy", status=400), ValidationFailed),
        (reply(302, raw=b"<html>"), ServiceUnavailable),
    ],
)
def test_v2_refusals_of_a_link(answer, kind):
    """A used, unknown or expired token means to ask for a new one."""
    with pytest.raises(kind):
        talk(v2.links.confirm_password_reset(LINK, NEW), answer)


def test_v2_reads_the_password_policy_of_the_tenant():
    """Only this form of the request gives the tenant's own rules."""
    (request,), policy = talk(v2.links.password_policy(), reply(200, POLICY))
    assert (request.method, request.path) == ("GET", "/v2/auth/password-policy?tenant_id=acme")
    assert policy == PasswordPolicy(
        min_length=12,
        max_length=128,
        needs_uppercase=True,
        needs_lowercase=True,
        needs_digit=True,
        refuses_common=True,
        refuses_personal=True,
    )


@pytest.mark.parametrize("body", [{}, [], {"max_length": 9}])
def test_v2_policy_without_rules_is_not_an_answer(body):
    """A page in between is not a policy."""
    with pytest.raises(ServiceUnavailable):
        talk(v2.links.password_policy(), reply(200, body))


def test_v2_policy_with_wrong_types_has_no_rules():
    """Rules that cannot be read are not shown."""
    _, policy = talk(v2.links.password_policy(), reply(200, {"min_length": "x", "require_numbers": 1}))
    assert policy == PasswordPolicy()


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (
            lambda: v2.links.send_magic_link("a@b.c", redirect_to=None),
            "magic links: .*auth.sign_in_with_browser",
        ),
        (lambda: v2.links.verify_magic_link(LINK, duration=None, device=None), "magic links: "),
        (
            lambda: v2.links.change_password(ADA, current=NEW, new=NEW),
            "change_password: .*send_password_reset",
        ),
    ],
)
def test_v2_refuses_by_name(call, named):
    """The message names the server, and what to use instead."""
    with pytest.raises(NotSupported, match=named) as caught:
        call()
    assert "open-source server (v2)" in str(caught.value)


def test_v2_needs_the_address_to_verify():
    """Its tokens name no address."""
    with pytest.raises(ConfigurationError, match=r"needs email=..."):
        v2.links.send_email_verification(None, who=ADA, redirect_to=None)


@pytest.mark.parametrize("dialect", [v1, v2])
@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda links: links.send_password_reset("", redirect_to=None), "email is empty"),
        (
            lambda links: links.send_password_reset("a@b.c", redirect_to="javascript:alert(1)"),
            "redirect_to must",
        ),
        (lambda links: links.confirm_password_reset(Secret(""), NEW), "token_or_url is empty"),
        (lambda links: links.confirm_password_reset(LINK, Secret("")), "new_password is empty"),
        (lambda links: links.verify_email(Secret("https://app.example.com/")), "has no token"),
    ],
)
def test_typed_values_of_links_are_checked(dialect, call, named):
    """A value that a person typed or a link that they followed raises an error for the person."""
    with pytest.raises(ValidationFailed, match=named):
        call(dialect.links)
