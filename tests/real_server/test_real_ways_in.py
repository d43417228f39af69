"""Ways in of the open-source server: mailed links, second factors, browser sign-in, service tokens."""

import base64
import hmac
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from hellojohn import (
    ApiError,
    ChallengeExpired,
    ConfigurationError,
    HelloJohn,
    InvalidCredentials,
    MfaRequired,
    SessionExpired,
    ValidationFailed,
)
from hellojohn.emulator import Emulator
from tests.real_server.conftest import PASSWORD, Mails, named
from tests.real_server.counted_clients import Clients

NEW_PASSWORD = "Other-Horse-Battery-10"
CALLBACK = "http://127.0.0.1:8765/callback"


def test_reset_by_mail(hj: HelloJohn, email: str, mails: Mails) -> None:
    """A mailed link sets a new password once, and ends the session."""
    hj.auth.send_password_reset(email)
    link = mails.link(email)
    with pytest.raises(ValidationFailed):
        hj.auth.confirm_password_reset(link, "x")
    hj.auth.confirm_password_reset(link, NEW_PASSWORD)
    with pytest.raises(ChallengeExpired):
        hj.auth.confirm_password_reset(link, PASSWORD)
    with pytest.raises(SessionExpired):
        hj.auth.refresh()
    with pytest.raises(InvalidCredentials):
        hj.auth.sign_in(email, PASSWORD)
    assert hj.auth.sign_in(email, NEW_PASSWORD)


def test_reset_of_a_stranger(server: Clients, email: str, mails: Mails) -> None:
    """A reset for an unknown address succeeds, and nothing is mailed."""
    hj = server.client()
    hj.auth.send_password_reset(email)
    hj.auth.sign_up(email, PASSWORD)
    hj.auth.send_email_verification(email)
    assert "verify" in mails.link(email)
    assert len(mails) == 0


def test_verification_by_mail(hj: HelloJohn, email: str, mails: Mails) -> None:
    """A mailed link verifies the address once."""
    hj.auth.send_email_verification(email)
    link = mails.link(email)
    hj.auth.verify_email(link)
    with pytest.raises(ChallengeExpired):
        hj.auth.verify_email(link)
    assert hj.auth.user().email_verified in (True, None)


@pytest.mark.parametrize("emulator", ["running"], indirect=True)
def test_mail_server_that_is_down(hj: HelloJohn, email: str) -> None:
    """The server does not say that it could not send a mail. Nobody listens at the port for mails now."""
    named("SMTP")
    hj.auth.send_password_reset(email)
    hj.auth.send_email_verification(email)
    assert hj.auth.refresh()


def test_unknown_links(hj: HelloJohn) -> None:
    """A link that the server did not send has ended."""
    with pytest.raises(ChallengeExpired):
        hj.auth.verify_email("not-a-token")
    with pytest.raises(ChallengeExpired):
        hj.auth.confirm_password_reset("not-a-token", NEW_PASSWORD)


def code(secret: str, *, step: int = 0) -> str:
    """Return the code that an authenticator app shows, now or some steps later."""
    counter = struct.pack(">Q", int(time.time()) // 30 + step)
    digest = hmac.digest(base64.b32decode(secret + "=" * (-len(secret) % 8)), counter, "sha1")
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF) % 1_000_000:06}"


@pytest.mark.usefixtures("mended")
def test_second_factor(hj: HelloJohn, email: str) -> None:
    """An app is enrolled and asked for, except on a remembered device. A recovery code works once."""
    enrollment = hj.mfa.enroll_totp()
    codes = hj.mfa.confirm_totp(enrollment, code(enrollment.secret))
    assert "totp" in [factor.type for factor in hj.mfa.factors()]
    with pytest.raises(MfaRequired) as caught:
        hj.auth.sign_in(email, PASSWORD)
    with pytest.raises(InvalidCredentials):
        hj.auth.verify_mfa(caught.value.challenge, "000000")
    with pytest.raises(ValidationFailed):
        hj.auth.send_mfa_code(caught.value.challenge, factor="email")  # the user gets no codes by mail
    session = hj.auth.verify_mfa(
        caught.value.challenge, code(enrollment.secret, step=1), remember_device=True
    )
    assert session.user.id
    assert hj.auth.sign_in(email, PASSWORD)  # the device is remembered
    hj.auth.sign_out(everywhere=True)
    with pytest.raises(MfaRequired) as caught:
        hj.auth.sign_in(email, PASSWORD)
    assert hj.auth.verify_mfa(caught.value.challenge, codes[0].lower())
    with pytest.raises(ChallengeExpired):
        hj.auth.verify_mfa(caught.value.challenge, codes[1])


def callback_of(server: Clients, email: str, url: str) -> str:
    """Sign a browser in, and return the address at which it ends."""
    names = {"tenant_id": server.place.tenant_id, "client_id": server.place.client_id}
    with httpx.Client(base_url=server.place.url, trust_env=False) as browser:
        typed = {**names, "email": email, "password": PASSWORD}
        browser.post("/v2/session/login", json=typed).raise_for_status()
        return browser.get(url).headers["Location"]


@pytest.mark.usefixtures("mended")
def test_browser_sign_in(server: Clients, hj: HelloJohn, email: str) -> None:
    """The code of a browser sign-in signs in once, names the user, and begins a session to refresh."""
    user = hj.auth.user()
    request = hj.auth.sign_in_with_oauth(None, CALLBACK)
    callback = callback_of(server, email, request.url)
    signed_in = hj.auth.complete_oauth(request, callback).user
    assert (signed_in.id, signed_in.email, hj.auth.user().email) == (user.id, email, email)
    assert hj.verify_token(hj.auth.access_token()).user_id == user.id
    assert hj.auth.refresh()
    with pytest.raises(ChallengeExpired):
        hj.auth.complete_oauth(request, callback)


@pytest.mark.usefixtures("published")
def test_published_server_refuses_codes(server: Clients, hj: HelloJohn, email: str) -> None:
    """The published server refuses the code of every browser sign-in, and the error says so."""
    request = hj.auth.sign_in_with_oauth(None, CALLBACK)
    with pytest.raises(ChallengeExpired, match="published open-source server"):
        hj.auth.complete_oauth(request, callback_of(server, email, request.url))
    assert hj.auth.refresh()


@pytest.mark.usefixtures("published")
def test_published_server_cannot_enroll_an_app(hj: HelloJohn) -> None:
    """The published server has no key for second factors, and the error says so."""
    with pytest.raises(ApiError, match="no key for second factors"):
        hj.mfa.enroll_totp()


@pytest.fixture
def service(server: Clients, emulator: Emulator | None) -> tuple[HelloJohn, str]:
    """A client of the tenant that is a service, and its secret."""
    if emulator is None:
        name, _, secret = named("SERVICE")[0].partition(":")
    else:
        name, secret = "worker", emulator.add_client("worker", scopes=["reports:read"], confidential=True)
    return server.client(client_id=name), secret


def test_service_token(server: Clients, service: tuple[HelloJohn, str]) -> None:
    """Fifty callers of a service share one token, which verifies, and which the server's API takes."""
    worker, secret = service
    with ThreadPoolExecutor(50) as pool:
        tokens = set(pool.map(lambda _: worker.service_token(client_secret=secret), range(50)))
    assert (len(tokens), server.sent("/oauth2/token")) == (1, 1)
    (token,) = tokens
    assert worker.verify_token(token).scopes
    with httpx.Client(auth=worker.service_auth(client_secret=secret, origins=[server.place.url])) as api:
        answer = api.get(f"{server.place.url}/v2/me")
    assert answer.request.headers["Authorization"] == f"Bearer {token}"
    assert (answer.status_code, server.sent("/oauth2/token")) == (200, 1)


def test_refused_service(service: tuple[HelloJohn, str]) -> None:
    """A wrong secret and a scope that the service does not have are errors of the settings."""
    worker, secret = service
    with pytest.raises(ConfigurationError, match="client_secret"):
        worker.service_token(client_secret=f"{secret}x")
    with pytest.raises(ConfigurationError, match="admin:all"):
        worker.service_token(client_secret=secret, scopes=["admin:all"])
