"""v2: password resets and the verification of addresses. The server's magic links cannot be used."""

from dataclasses import replace
from functools import partial
from urllib.parse import urlencode

from hellojohn._details import Device, PasswordPolicy
from hellojohn._errors import ConfigurationError, NotSupported
from hellojohn._secret import Secret
from hellojohn._wire.arguments import checked_address, checked_email, checked_link, checked_password
from hellojohn._wire.conversation import Conversation, single
from hellojohn._wire.errors import check_done, required
from hellojohn._wire.reading import Fields, number
from hellojohn._wire.tokens import success
from hellojohn._wire.topics import SignedIn
from hellojohn._wire.v2.codes import CODES
from hellojohn._wire.v2.requests import Requests
from hellojohn._wire.values import Answer, ApiRequest, TokenResponse

_MAGIC_LINKS = (
    "magic links: the open-source server (v2) fails to send them, and a session from one cannot be refreshed."
    " Use auth.sign_in with a password, or auth.sign_in_with_browser."
)


class V2Links:
    """Implements ``Links``."""

    def __init__(self, requests: Requests) -> None:
        """Build requests with ``requests``."""
        self._requests = requests

    def send_magic_link(self, email: str, *, redirect_to: str | None) -> Conversation[None]:
        """Refuse: see ``_MAGIC_LINKS``."""
        raise NotSupported(_MAGIC_LINKS)

    def verify_magic_link(
        self, link: Secret, *, duration: str | None, device: Device | None
    ) -> Conversation[TokenResponse]:
        """Refuse: see ``_MAGIC_LINKS``."""
        raise NotSupported(_MAGIC_LINKS)

    def send_password_reset(self, email: str, *, redirect_to: str | None) -> Conversation[None]:
        """Mail a link that sets a new password. An unknown address gets the same answer."""
        return _done(self._requests.client("/v2/auth/forgot", _mail(email, redirect_to)))

    def confirm_password_reset(self, link: Secret, new_password: Secret) -> Conversation[None]:
        """Set a new password with a link. It ends the sessions of this client only."""
        body = {
            "token": checked_link(link),
            "new_password": checked_password(new_password, name="new_password"),
        }
        return _done(self._requests.client("/v2/auth/reset", body))

    def change_password(self, who: SignedIn, *, current: Secret, new: Secret) -> Conversation[None]:
        """Refuse: the server has no such route."""
        raise NotSupported(
            "change_password: the open-source server (v2) cannot change the password of a signed-in user. Use"
            " auth.send_password_reset and auth.confirm_password_reset."
        )

    def password_policy(self) -> Conversation[PasswordPolicy]:
        """Read the tenant's rules for new passwords."""
        path = f"/v2/auth/password-policy?{urlencode({'tenant_id': self._requests.tenant_id})}"
        return single(self._requests.bare("GET", path, idempotent=True), _read_policy)

    def send_email_verification(
        self, email: str | None, *, who: SignedIn | None, redirect_to: str | None
    ) -> Conversation[None]:
        """Mail a link that verifies an address."""
        if email is None:
            raise ConfigurationError(
                "send_email_verification needs email=...: the open-source server (v2) does not look it up."
            )
        return _done(self._requests.client("/v2/auth/verify-email/start", _mail(email, redirect_to)))

    def verify_email(self, link: Secret) -> Conversation[None]:
        """Verify an address with a link. The server takes its token in the query only."""
        query = urlencode({"tenant_id": self._requests.tenant_id, "client_id": self._requests.client_id})
        request = self._requests.bare("GET", f"/v2/auth/verify-email?{query}")
        return _done(replace(request, secret_query={"token": checked_link(link)}))


def _mail(email: str, redirect_to: str | None) -> dict[str, object]:
    body: dict[str, object] = {"email": checked_email(email)}
    if redirect_to is not None:
        body["redirect_uri"] = checked_address(redirect_to, name="redirect_to")
    return body


def _done(request: ApiRequest) -> Conversation[None]:
    return single(request, partial(check_done, codes=CODES, fixed_path=True))


def _read_policy(answer: Answer) -> PasswordPolicy:
    return required(_policy(success(answer) or {}), answer, CODES)


def _policy(content: Fields) -> PasswordPolicy | None:
    if "min_length" not in content:
        return None
    return PasswordPolicy(
        min_length=_count(content, "min_length"),
        max_length=_count(content, "max_length"),
        needs_uppercase=content.get("require_uppercase") is True,
        needs_lowercase=content.get("require_lowercase") is True,
        needs_digit=content.get("require_numbers") is True,
        needs_symbol=content.get("require_symbols") is True,
        refuses_common=content.get("common_password") is True,
        refuses_personal=content.get("personal_info") is True,
    )


def _count(content: Fields, name: str) -> int | None:
    found = number(content.get(name))
    return int(found) if found else None
