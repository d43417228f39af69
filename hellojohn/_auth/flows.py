"""What both faces of ``hj.auth`` do: check the arguments, and return the flow that runs or awaits."""

import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from hellojohn import _oauth
from hellojohn._auth.browser_options import BrowserOptions, checked_scopes
from hellojohn._browser import Listener
from hellojohn._config import Settings, check_flag
from hellojohn._details import Device, PasswordPolicy
from hellojohn._duration import format_duration, parse_duration
from hellojohn._errors import ConfigurationError, MfaChallenge, ServiceUnavailable
from hellojohn._models import Session, SessionOptions, User
from hellojohn._oauth import OAuthRequest
from hellojohn._secret import Secret
from hellojohn._session import calls, operations
from hellojohn._session.account import Account
from hellojohn._session.operations import SignInRequest
from hellojohn._waiting import Flow
from hellojohn._wire import Conversation, Dialect, TokenResponse, signing_up, single

Options = SessionOptions | Mapping[str, Any]
Duration = str | timedelta


class Flows:
    """The flows of one account."""

    def __init__(self, account: Account, settings: Settings) -> None:
        """Made by ``Auth`` and ``AsyncAuth``."""
        self.account = account
        self._settings = settings

    @property
    def _dialect(self) -> Dialect:
        return self.account.context.service.dialect

    # ---------------------------------------------------------------- sign-in

    def sign_in(
        self,
        email: str,
        password: Secret,
        *,
        remember_me: bool | None,
        session_options: Options | None,
        captcha_token: Secret | None,
        device: Device | None,
    ) -> Flow[Session]:
        """Sign in with a password."""
        duration = self._duration(remember_me, session_options)

        def build(device_token: Secret | None) -> Conversation[TokenResponse]:
            request = self._dialect.sign_in(
                email,
                password,
                duration=_as_text(duration),
                captcha_token=captcha_token,
                device=device,
                device_token=device_token,
            )
            return single(request, self._dialect.read_tokens)

        wanted = SignInRequest(build(None), _as_delta(duration), remember_me, build)
        return operations.sign_in(self.account, wanted)

    def sign_up(
        self,
        email: str,
        password: Secret,
        *,
        name: str | None,
        username: str | None,
        metadata: Mapping[str, Any] | None,
        remember_me: bool | None,
        session_options: Options | None,
        device: Device | None,
    ) -> Flow[Session]:
        """Create a user and sign them in."""
        duration = self._duration(remember_me, session_options)
        dialect, text = self._dialect, _as_text(duration)
        sign_up = dialect.sign_up(
            email,
            password,
            duration=text,
            name=name,
            username=username,
            metadata=metadata,
            device=device,
        )
        sign_in = dialect.sign_in(email, password, duration=text, captcha_token=None, device=device)
        return self._sign_in(signing_up(dialect, sign_up, sign_in), duration, remember_me)

    def verify_mfa(
        self,
        challenge: MfaChallenge,
        code: Secret,
        *,
        factor: str | None,
        remember_device: bool,
        device: Device | None,
    ) -> Flow[Session]:
        """Answer a second factor."""
        _check_challenge(challenge)
        request = self._dialect.verify_mfa(
            challenge,
            code,
            factor=factor,
            remember_device=check_flag(remember_device, "remember_device"),
            device=device,
        )
        conversation = single(request, self._dialect.read_tokens)
        return self._sign_in(conversation, challenge.duration, challenge.remember_me)

    def send_mfa_code(self, challenge: MfaChallenge, factor: str | None) -> Flow[None]:
        """Have a code sent."""
        _check_challenge(challenge)
        return calls.ask(self.account, self._dialect.second_factors.send_code(challenge, factor=factor))

    def verify_magic_link(
        self,
        link: Secret,
        *,
        remember_me: bool | None,
        session_options: Options | None,
        device: Device | None,
    ) -> Flow[Session]:
        """Sign in with a mailed link."""
        duration = self._duration(remember_me, session_options)
        conversation = self._dialect.links.verify_magic_link(link, duration=_as_text(duration), device=device)
        return self._sign_in(conversation, duration, remember_me)

    # ---------------------------------------------------------------- browsers

    def start_oauth(
        self,
        provider: str | None,
        redirect_uri: str,
        *,
        remember_me: bool | None,
        session_options: Options | None,
        scopes: Sequence[str],
    ) -> OAuthRequest:
        """Begin a sign-in that a browser completes."""
        self.account.context.check_open()
        return _oauth.start(
            self._dialect,
            provider=provider,
            redirect_uri=redirect_uri,
            scopes=checked_scopes(scopes),
            duration=self._duration(remember_me, session_options),
            remember_me=remember_me,
            now=self.account.clock(),
        )

    def complete_oauth(
        self, request: OAuthRequest, callback_url: Secret, device: Device | None
    ) -> Flow[Session]:
        """Complete a sign-in with the address that the browser came back to."""
        code = _oauth.read_callback(request, callback_url, now=self.account.clock())
        conversation = self._dialect.oauth.exchange_code(
            code, duration=_as_text(request.duration), device=device
        )
        _oauth.claim(request)
        try:
            return (yield from self._sign_in(conversation, request.duration, request.remember_me))
        except ServiceUnavailable as error:
            if not error.ambiguous:
                _oauth.release(request)
            raise

    def listen(self, options: BrowserOptions, cancelled: threading.Event) -> tuple[OAuthRequest, Secret]:
        """Have a browser sign in, and return the request and the address that it came back to. It blocks."""
        options.check()
        self.account.context.check_open()
        listener = Listener(options.ports)
        try:
            request = self.start_oauth(
                options.provider,
                listener.redirect_uri,
                remember_me=options.remember_me,
                session_options=options.session_options,
                scopes=options.scopes,
            )
            listener.open(request)
            options.prompt(f"Sign in with your browser: {request.url}")
            listener.browse(options.open_browser, request.url)
            if options.paste is not None:
                listener.paste(options.paste)
            self.account.context.service.prepare()  # while the person signs in: afterwards, they wait for it
            return request, Secret(listener.wait(options.timeout, cancelled))
        finally:
            listener.close()

    # ---------------------------------------------------------------- mails and passwords

    def send_magic_link(self, email: str, redirect_to: str | None) -> Flow[None]:
        """Mail a link that signs in."""
        return calls.ask(self.account, self._dialect.links.send_magic_link(email, redirect_to=redirect_to))

    def send_password_reset(self, email: str, redirect_to: str | None) -> Flow[None]:
        """Mail a link that sets a password."""
        conversation = self._dialect.links.send_password_reset(email, redirect_to=redirect_to)
        return calls.ask(self.account, conversation)

    def confirm_password_reset(self, link: Secret, new_password: Secret) -> Flow[None]:
        """Set a password with a mailed link."""
        return calls.ask(self.account, self._dialect.links.confirm_password_reset(link, new_password))

    def change_password(self, current: Secret, new: Secret) -> Flow[None]:
        """Change the signed-in user's password."""
        links = self._dialect.links
        return calls.ask_as_user(
            self.account, lambda who: links.change_password(who, current=current, new=new)
        )

    def password_policy(self) -> Flow[PasswordPolicy]:
        """Read the rules for new passwords."""
        return calls.ask(self.account, self._dialect.links.password_policy())

    def send_email_verification(self, email: str | None, redirect_to: str | None) -> Flow[None]:
        """Mail a link that verifies an address."""
        links = self._dialect.links
        if email is not None:
            conversation = links.send_email_verification(email, who=None, redirect_to=redirect_to)
            return calls.ask(self.account, conversation)
        return calls.ask_as_user(
            self.account,
            lambda who: links.send_email_verification(None, who=who, redirect_to=redirect_to),
        )

    def verify_email(self, link: Secret) -> Flow[None]:
        """Verify an address with a mailed link."""
        return calls.ask(self.account, self._dialect.links.verify_email(link))

    # ---------------------------------------------------------------- the session

    def sign_out(self, *, everywhere: bool) -> Flow[bool]:
        """End the session."""
        return operations.sign_out(self.account, everywhere=check_flag(everywhere, "everywhere"))

    def session(self) -> Flow[Session | None]:
        """Return the session."""
        return calls.session(self.account)

    def access_token(self, refused: Secret | None) -> Flow[Secret]:
        """Return a token."""
        return calls.access_token(self.account, refused=refused)

    def refresh(self) -> Flow[Session]:
        """Refresh."""
        return calls.refresh(self.account)

    def user(self) -> Flow[User]:
        """Ask who is signed in."""
        return calls.user(self.account)

    def _sign_in(
        self,
        conversation: Conversation[TokenResponse],
        duration: Duration | None,
        remember_me: bool | None,  # noqa: FBT001 - the choice and the duration, as a pair
    ) -> Flow[Session]:
        wanted = SignInRequest(conversation, _as_delta(duration), remember_me)
        return operations.sign_in(self.account, wanted)

    def _duration(self, remember_me: object, session_options: Options | None) -> Duration | None:
        if remember_me is not None and session_options is not None:
            raise ConfigurationError(
                "Pass remember_me or session_options, not both: each asks for a duration."
            )
        if session_options is not None:
            return SessionOptions.read(session_options).duration
        if remember_me is None:
            return None
        if check_flag(remember_me, "remember_me"):
            return self._settings.remember_me_duration
        return self._settings.session_duration


def _check_challenge(challenge: object) -> None:
    if not isinstance(challenge, MfaChallenge):
        raise ConfigurationError("challenge must be the MfaChallenge of an MfaRequired error.")
    if challenge.remember_me is not None:
        check_flag(challenge.remember_me, "challenge.remember_me")
    if challenge.duration is not None:
        parse_duration(challenge.duration, name="challenge.duration")


def _as_text(duration: Duration | None) -> str | None:
    """Return a duration as it goes over the wire: text as the app gave it."""
    return format_duration(duration) if isinstance(duration, timedelta) else duration


def _as_delta(duration: Duration | None) -> timedelta | None:
    return None if duration is None else parse_duration(duration, name="duration")
