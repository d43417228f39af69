"""v1: magic links, passwords and the verification of addresses."""

from functools import partial

from hellojohn._details import Device, PasswordPolicy
from hellojohn._errors import ChallengeExpired, ConfigurationError, NotSupported
from hellojohn._secret import Secret
from hellojohn._wire.arguments import checked_address, checked_email, checked_link, checked_password
from hellojohn._wire.conversation import Conversation, single
from hellojohn._wire.errors import check_done
from hellojohn._wire.failures import Meaning
from hellojohn._wire.topics import SignedIn
from hellojohn._wire.v1.codes import CODES
from hellojohn._wire.v1.paths import UNPUBLISHED
from hellojohn._wire.v1.requests import Requests
from hellojohn._wire.v1.tokens import signed_in
from hellojohn._wire.values import ApiRequest, TokenResponse

# The documents name no code for it.
_ENDED = Meaning(ChallengeExpired, "The link was used or has expired. Ask for a new one.")


class V1Links:
    """Implements ``Links``."""

    def __init__(self, requests: Requests) -> None:
        """Build requests with ``requests``."""
        self._requests = requests

    def send_magic_link(self, email: str, *, redirect_to: str | None) -> Conversation[None]:
        """Mail a link that signs in."""
        body = _mail(email, redirect_to)
        return _done(self._requests.public("/v1/auth/magic-link", body, call="auth.send_magic_link"))

    def verify_magic_link(
        self, link: Secret, *, duration: str | None, device: Device | None
    ) -> Conversation[TokenResponse]:
        """Sign in with a link."""
        path = UNPUBLISHED["verify_magic_link"]
        body: dict[str, object] = {"token": checked_link(link)}
        if duration is not None:
            body["session_options"] = {"duration": duration}
        request = self._requests.public(path, body, call="auth.verify_magic_link", device=device)
        return single(request, partial(signed_in, assumed_path=path, otherwise=_ENDED))

    def send_password_reset(self, email: str, *, redirect_to: str | None) -> Conversation[None]:
        """Mail a link that sets a new password."""
        body = _mail(email, redirect_to)
        return _done(self._requests.public("/v1/auth/password/forgot", body, call="auth.send_password_reset"))

    def confirm_password_reset(self, link: Secret, new_password: Secret) -> Conversation[None]:
        """Set a new password with a link."""
        body: dict[str, object] = {
            "token": checked_link(link),
            "new_password": checked_password(new_password, name="new_password"),
        }
        return self._unpublished("confirm_password_reset", body)

    def change_password(self, who: SignedIn, *, current: Secret, new: Secret) -> Conversation[None]:
        """Change the password of a signed-in user."""
        body = {
            "current_password": checked_password(current, name="current"),
            "new_password": checked_password(new, name="new"),
        }
        return _done(self._requests.bare("POST", "/v1/auth/password/change", body, bearer=who.access_token))

    def password_policy(self) -> Conversation[PasswordPolicy]:
        """Refuse: v1 publishes no rules."""
        raise NotSupported(
            "password_policy: the cloud API (v1) does not publish its rules. Show the message of the"
            " ValidationFailed that a weak password raises."
        )

    def send_email_verification(
        self, email: str | None, *, who: SignedIn | None, redirect_to: str | None
    ) -> Conversation[None]:
        """Mail a link that verifies an address."""
        if email is not None:
            return self._unpublished("send_email_verification", _mail(email, redirect_to))
        if who is None:
            raise ConfigurationError("send_email_verification needs email=... or a signed-in user.")
        path = UNPUBLISHED["send_email_verification"]
        body = (
            {} if redirect_to is None else {"redirect_to": checked_address(redirect_to, name="redirect_to")}
        )
        return _done(self._requests.bare("POST", path, body, bearer=who.access_token), assumed_path=path)

    def verify_email(self, link: Secret) -> Conversation[None]:
        """Verify an address with a link."""
        return self._unpublished("verify_email", {"token": checked_link(link)})

    def _unpublished(self, call: str, body: dict[str, object]) -> Conversation[None]:
        path = UNPUBLISHED[call]
        return _done(self._requests.public(path, body, call=f"auth.{call}"), assumed_path=path)


def _mail(email: str, redirect_to: str | None) -> dict[str, object]:
    body: dict[str, object] = {"email": checked_email(email)}
    if redirect_to is not None:
        body["redirect_to"] = checked_address(redirect_to, name="redirect_to")
    return body


def _done(request: ApiRequest, *, assumed_path: str | None = None) -> Conversation[None]:
    otherwise = _ENDED if "token" in (request.body or {}) else None
    done = partial(check_done, codes=CODES, fixed_path=True, assumed_path=assumed_path, otherwise=otherwise)
    return single(request, done)
