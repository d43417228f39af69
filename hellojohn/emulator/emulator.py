"""The emulator as its users hold it: users, sessions, tokens and settings, for the API that it speaks."""

from collections.abc import Callable, Collection
from dataclasses import asdict
from datetime import timedelta
from typing import Final, Literal, Unpack

from hellojohn._duration import parse_duration
from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.emulator.app import RequestLine
from hellojohn.emulator.clock import system_time
from hellojohn.emulator.keys import Algorithm
from hellojohn.emulator.open_source import OpenSourceAdmin
from hellojohn.emulator.records import SessionInfo
from hellojohn.emulator.service import Service, Surroundings
from hellojohn.emulator.user_admin import problems_named
from hellojohn.emulator.users import access_of
from hellojohn.emulator.v1 import policy
from hellojohn.emulator.v1.responses import Shape
from hellojohn.emulator.v1.service import V1Service
from hellojohn.emulator.v2 import settings as open_source
from hellojohn.emulator.v2.records import Client
from hellojohn.emulator.v2.service import V2Service

ApiName = Literal["v1", "v2"]
DEMO_EMAIL: Final = "demo@example.com"
DEMO_PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - printed for everyone to use
_TENANT_IDS: Final = {"v1": "tnt_local", "v2": "local"}
_CLIENT: Final = Client(
    id="app",
    name="App",
    auth_profile="native",
    redirect_uris=tuple(f"http://127.0.0.1:{port}/callback" for port in (8765, 8766, 8767)),
)
_PUBLISHABLE_KEY: Final = "pk_test_local"
_SECRET_KEY: Final = "sk_test_local"  # noqa: S105 - it opens nothing but an emulator


class Settings(policy.Settings, open_source.Settings, total=False):
    """The settings of both APIs."""


class Emulator(OpenSourceAdmin):
    """The HelloJohn service on this machine, in memory, for development and tests.

    It follows the documented session rules: rotation and reuse detection, the four settings, revocation. With
    ``api="v2"`` it answers like the open-source server, with that server's faults. Rate limits are not
    enforced; ask for them with ``fail``. Use it in a ``with`` block, or call ``start`` and ``stop``.

    Attributes:
        api: The API that it speaks.
        tenant_id: The id of the one tenant; on v2 its slug.
        client_id: The id of the client on v2; ``None`` on v1.
        publishable_key: The key for sign-in and sign-up; v2 looks at none.
        secret_key: The key for sessions and settings. It opens nothing but an emulator.
        webhook_secret: The secret that signs webhooks.
        inbox: The mails that were sent, the oldest first.
        clock: The emulator's time: call it for the seconds since the epoch, and pass it to a client as its
            ``clock``.
    """

    def __init__(
        self,
        *,
        api: ApiName = "v1",
        port: int = 0,
        host: str = "127.0.0.1",
        answers: Shape = "nested",
        clock: Callable[[], float] = system_time,
        reuse_grace: str | timedelta | None = None,
        log: Callable[[RequestLine], None] | None = None,
    ) -> None:
        """Prepare; nothing listens before ``start``.

        Args:
            api: The API to speak: ``v1``, the documented cloud API, or ``v2``, the open-source server.
            port: The port to listen on; 0 picks a free one, which is then kept across restarts.
            host: The address to listen on. Any but loopback lets others in, with keys that are public.
            answers: Which of the two documented shapes sign-in and sign-up answer in on v1.
            clock: The base clock, in seconds since the epoch.
            reuse_grace: How long after its rotation a refresh token works once more on v1, such as ``10s``.
                By default it does not, and presenting it revokes its session.
            log: Called with each ``RequestLine``, from the emulator's thread. If it raises, the ``asyncio``
                logger gets the error, and the answer stays the same.
        """
        if api not in _TENANT_IDS:
            msg = f"api is 'v1' or 'v2', not {api!r}."
            raise ConfigurationError(msg)
        if api == "v2" and (answers != "nested" or reuse_grace is not None):
            msg = "answers and reuse_grace belong to api='v1'. The open-source server has neither."
            raise ConfigurationError(msg)
        super().__init__(tenant_id=_TENANT_IDS[api], port=port, host=host, clock=clock, log=log)
        self.api: ApiName = api
        self.client_id: str | None = None if api == "v1" else _CLIENT.id
        self.publishable_key: str = _PUBLISHABLE_KEY
        self.secret_key: str = _SECRET_KEY
        self._service = self._v1(answers, reuse_grace) if api == "v1" else self._v2()
        self._serve(self._service.table(), self._service.errors)
        self.add_user(DEMO_EMAIL, DEMO_PASSWORD, name="Demo")

    # Sessions and tokens

    def session(self, session_id: str) -> SessionInfo:
        """Return a session as it is now, also an ended one.

        Raises:
            ConfigurationError: The session is unknown.
        """
        with problems_named():
            return self._service.session(session_id)

    def sessions(self, email: str | None = None) -> list[SessionInfo]:
        """Return the sessions of a user, or of all users, the oldest first. Ended sessions are among them."""
        with problems_named():
            return self._service.sessions(email)

    def revoke(self, session_id: str) -> None:
        """Revoke a session. Its access tokens keep working until they expire.

        Raises:
            ConfigurationError: The session is unknown.
        """
        with problems_named():
            self._service.revoke(session_id)

    def reject_access_tokens(self) -> None:
        """Make ``/resource`` answer 401 to every access token that was issued so far."""
        self._service.reject_access_tokens()

    def token(
        self,
        email: str = DEMO_EMAIL,
        *,
        scopes: Collection[str] | None = None,
        roles: Collection[str] | None = None,
        expires_in: str | timedelta | None = None,
        claims: dict[str, object] | None = None,
    ) -> str:
        """Open a session of a user and return its access token.

        Args:
            email: Who signs in. Neither the password nor a second factor is asked for.
            scopes: The token's scopes; ``None`` for the user's.
            roles: The token's roles; ``None`` for the user's.
            expires_in: The token's life; ``None`` for the tenant's ``access_token_ttl``. A negative
                ``timedelta`` makes an expired token.
            claims: Claims to add or to replace; a claim that is ``None`` is left out.

        Raises:
            ConfigurationError: The user is unknown, or an argument is malformed.
        """
        life = parse_duration(expires_in, name="expires_in") if isinstance(expires_in, str) else expires_in
        read = asdict(access_of(roles or (), scopes or ()))
        given = {"roles": roles, "scopes": scopes}
        access = {name: values for name, values in read.items() if given[name] is not None}
        with problems_named():
            return self._service.token(email, access=access, life=life, claims=claims or {})

    def authorize(self, url: str, email: str = DEMO_EMAIL) -> str:
        """Do the browser's part of a sign-in through a provider: sign a user in, and follow the redirect.

        Args:
            url: The address that the app sends the browser to.
            email: Who signs in there.

        Returns:
            The address that the browser ends on, with a code. Nothing is requested from it.

        Raises:
            ConfigurationError: The address is malformed, or the user is unknown.
        """
        with problems_named():
            return self._service.authorize(url, email)

    def rotate_keys(
        self,
        *,
        algorithm: Algorithm = "EdDSA",
        keep_old: str | timedelta | None = "24h",
        publish_after: str | timedelta | None = None,
    ) -> str:
        """Sign access tokens with a new key from now on, and return its id.

        Args:
            algorithm: ``EdDSA``, ``RS256``, ``RS384`` or ``RS512``.
            keep_old: How long the old keys stay published; ``None`` withdraws them at once.
            publish_after: How long the new key is missing from the published set; ``None`` for no time.

        Raises:
            ConfigurationError: An argument is malformed.
        """
        return self._service.keys.rotate(
            algorithm=algorithm,
            keep_old=None if keep_old is None else _seconds(keep_old, "keep_old"),
            publish_after=0.0 if publish_after is None else _seconds(publish_after, "publish_after"),
        )

    def configure(self, **settings: Unpack[Settings]) -> None:
        """Change the tenant's session settings, as ``admin/config`` does; ``None`` clears a limit.

        On v2, the lives of tokens are the client's own, and they count from the first refresh on.

        Args:
            **settings: ``session_duration``, ``access_token_ttl``, and on v1 ``idle_timeout`` and
                ``max_sessions_per_user``. A new duration counts for new sessions. On v2 ``reuse_detection``,
                ``register_signs_in``, ``verified_email_required``, ``issuer_mode`` (``path`` or ``global``),
                ``lifetimes_from_sign_in`` (the lives count from the sign-in on), and ``mended`` (the server
                can enrol authenticator apps and redeem authorization codes, as the published one cannot).

        Raises:
            ConfigurationError: A name or a value is wrong; nothing is changed then.
        """
        self._service.configure(settings)

    @property
    def rotations(self) -> int:
        """How many refreshes have succeeded."""
        return self._service.rotations

    @property
    def reuses(self) -> int:
        """How many times a rotated refresh token was presented again."""
        return self._service.reuses

    def _on_listening(self) -> None:
        self._service.listen_at(self.url)

    def _v1(self, answers: Shape, reuse_grace: str | timedelta | None) -> Service:
        return V1Service(
            self._surroundings(),
            tenant_id=self.tenant_id,
            publishable_key=Secret(self.publishable_key),
            secret_key=Secret(self.secret_key),
            shape=answers,
            reuse_grace=reuse_grace,
        )

    def _v2(self) -> Service:
        service = V2Service(self._surroundings(), tenant=self.tenant_id, client=_CLIENT)
        self.secret_key = service.server.api_key("admin").reveal()
        return service

    def _surroundings(self) -> Surroundings:
        return Surroundings(self.clock, self.inbox, self._webhooks.emit)


def _seconds(duration: str | timedelta, name: str) -> float:
    return parse_duration(duration, name=name).total_seconds()
