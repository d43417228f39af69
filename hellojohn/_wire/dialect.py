"""The protocol that each dialect of the service implements: it builds the requests and reads the answers."""

from collections.abc import Mapping
from typing import Protocol

from hellojohn._details import Device
from hellojohn._errors import MfaChallenge
from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._wire.conversation import Conversation
from hellojohn._wire.topics import Admin, Links, OAuth, SecondFactors
from hellojohn._wire.values import Answer, ApiRequest, Outcome, TokenResponse


class Dialect(Protocol):
    """One dialect of the service.

    Building a request raises ``NotSupported`` where the server cannot do it, ``ConfigurationError`` for a
    missing setting or an argument of the wrong type, and ``ValidationFailed`` for an empty or overlong text.
    Reading an answer raises an ``ApiError`` when the service refused, and ``ServiceUnavailable`` when the
    answer is missing or cannot be used.
    """

    @property
    def name(self) -> str:
        """``"v1"`` or ``"v2"``."""
        ...

    @property
    def second_factors(self) -> SecondFactors:
        """Codes and enrolments of second factors."""
        ...

    @property
    def links(self) -> Links:
        """Mailed links and passwords."""
        ...

    @property
    def oauth(self) -> OAuth:
        """Sign-in with a browser, and service tokens."""
        ...

    @property
    def admin(self) -> Admin:
        """Sessions and settings."""
        ...

    @property
    def ends_sessions(self) -> bool:
        """Whether the server ends a session after the duration that was asked for at sign-in."""
        ...

    @property
    def ends_idle_sessions(self) -> bool:
        """Whether the server ends a session that is not refreshed for the tenant's idle timeout."""
        ...

    @property
    def challenge_ttl(self) -> float | None:
        """The seconds that a second-factor challenge stays good; ``None`` when they are not known."""
        ...

    def sign_in(
        self,
        email: str,
        password: Secret,
        *,
        duration: str | None,
        captcha_token: Secret | None,
        device: Device | None = None,
        device_token: Secret | None = None,
    ) -> ApiRequest:
        """Build a sign-in.

        Args:
            email: The email address.
            password: The password.
            duration: The session's duration, such as ``30d``; ``None`` for the tenant's default.
            captcha_token: The token from the captcha in the form.
            device: The browser for which a back end signs in.
            device_token: The token that a remembered device has instead of a second factor.
        """
        ...

    def sign_up(
        self,
        email: str,
        password: Secret,
        *,
        duration: str | None,
        name: str | None,
        username: str | None,
        metadata: Mapping[str, object] | None,
        device: Device | None = None,
    ) -> ApiRequest:
        """Build a sign-up."""
        ...

    def refresh(self, refresh_token: Secret) -> ApiRequest:
        """Build a refresh."""
        ...

    def sign_out(self, refresh_token: Secret, access_token: Secret, *, everywhere: bool) -> ApiRequest:
        """Build a sign-out of this session, or of all sessions of the user."""
        ...

    def me(self, access_token: Secret) -> ApiRequest:
        """Build the question who is signed in."""
        ...

    def me_after(self, answer: Answer, access_token: Secret) -> ApiRequest | None:
        """Build the request that can name the user although ``me`` got this answer; ``None`` without one."""
        ...

    def verify_mfa(
        self,
        challenge: MfaChallenge,
        code: Secret,
        *,
        factor: str | None,
        remember_device: bool = False,
        device: Device | None = None,
    ) -> ApiRequest:
        """Build the answer to a second-factor challenge.

        Args:
            challenge: The challenge.
            code: The code that the factor shows, or a recovery code.
            factor: The factor; ``None`` for the one that fits the code.
            remember_device: Whether the next sign-in on this device needs no second factor.
            device: The browser for which a back end signs in.
        """
        ...

    def probe(self) -> ApiRequest:
        """Build a harmless request that HelloJohn answers in its own words, to see whether it is there."""
        ...

    def second_look(self, access_token: Secret | None) -> ApiRequest:
        """Build the request that shows whether the service works, to be sent after a ``DOUBTFUL_END``.

        Args:
            access_token: The session's access token, if it has not expired.
        """
        ...

    def read_tokens(self, answer: Answer) -> TokenResponse:
        """Read the answer to a sign-in or to a second factor."""
        ...

    def read_sign_up(self, answer: Answer) -> TokenResponse | None:
        """Read the answer to a sign-up; ``None`` when the server leaves the sign-in to the client."""
        ...

    def read_user(self, answer: Answer, known: User | None = None) -> User:
        """Read the answer to ``me`` or ``me_after``.

        Args:
            answer: The answer.
            known: The user as of sign-in, for what the server leaves out.
        """
        ...

    def read_done(self, answer: Answer) -> None:
        """Read the answer to a sign-out: any success."""
        ...

    def outcome(self, answer: Answer) -> Outcome:
        """Return the meaning of an answer to a refresh. Never raises."""
        ...

    def is_token_refused(self, answer: Answer) -> bool:
        """Return whether an answer means that the token is not good, and a newer one may be."""
        ...

    def is_own_answer(self, answer: Answer) -> bool:
        """Return whether the answer to ``probe`` is HelloJohn's."""
        ...

    def is_serving(self, answer: Answer) -> bool:
        """Return whether the answer to ``second_look`` shows that the service works."""
        ...


def signing_up(dialect: Dialect, sign_up: ApiRequest, sign_in: ApiRequest) -> Conversation[TokenResponse]:
    """Return the conversation that signs up and, where the server does not sign in by itself, signs in."""
    tokens = dialect.read_sign_up((yield sign_up))
    return dialect.read_tokens((yield sign_in)) if tokens is None else tokens
