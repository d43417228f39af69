"""``Verifier``: the part of a client that verifies tokens and keeps revocations.

Each operation is written once, as a flow. The synchronous methods block where it waits, the asynchronous ones
await. No error carries a token: the text of one stands in a ``Secret`` wherever an error may pass.
"""

from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar

from hellojohn._clock import Clock, Timing
from hellojohn._config import how_to_set
from hellojohn._duration import parse_duration
from hellojohn._errors import ConfigurationError, TokenInvalid, TokenRevoked
from hellojohn._secret import Secret
from hellojohn._unpicklable import PartOfClient
from hellojohn._waiting import Flow, run, run_async
from hellojohn.stores import MemoryStore
from hellojohn.stores._checks import check_store
from hellojohn.stores._protocol import TokenStore
from hellojohn.verify._claims import TokenClaims, read_claims
from hellojohn.verify._fetching import Fetch
from hellojohn.verify._flight import on_worker
from hellojohn.verify._jwks import VerificationKey
from hellojohn.verify._key_set import KeySource, key_set_of
from hellojohn.verify._remote import CheckToken, Send, Verification, ask
from hellojohn.verify._revocation_list import RevocationList
from hellojohn.verify._revocations import AsyncRevocations, RevocationFeed, Revocations
from hellojohn.verify._rules import Rules, check, key_urls, read_audience, read_leeway
from hellojohn.verify._shared_revocations import SharedRevocations
from hellojohn.verify._token_text import Header, Headers, read_payload

T = TypeVar("T")


class _Wish(NamedTuple):
    """The caller's demands on a token, beyond the rules."""

    audiences: frozenset[str] | None
    leeway: float


_USUAL = _Wish(None, 0.0)


class Verifier(PartOfClient):
    """Verifies the access tokens of one tenant, for both faces of a client."""

    def __init__(
        self,
        *,
        api: str,
        api_url: str,
        tenant_id: str,
        client_id: str | None,
        fetch: Fetch,
        check_token: CheckToken,
        send: Send,
        store: TokenStore | None = None,
        webhook_secret: Secret | None = None,
        jwks_max_age: str | timedelta = "24h",
        jwks_cache: TokenStore | None = None,
        access_token_ttl: str | timedelta = "24h",  # noqa: S107 - a duration
        clock: Clock,
        timing: Timing | None = None,
    ) -> None:
        """Keep the settings. Nothing is fetched before the first token.

        Args:
            api: ``"v1"`` or ``"v2"``.
            api_url: The service, without a version and a trailing slash.
            tenant_id: The tenant; on v2, its slug.
            client_id: On v2, the tokens' audience.
            fetch: Gets a URL; ``hellojohn._http._keys.KeyFetcher`` does it with httpx.
            check_token: The dialect's, for ``verify_token_remote``.
            send: Sends its requests.
            store: Where revocations are shared with other processes. A ``MemoryStore`` shares nothing.
            webhook_secret: The secret that the service signs webhooks with.
            jwks_max_age: How long keys verify while they cannot be fetched again.
            jwks_cache: Keeps the last good keys for a start during an outage.
            access_token_ttl: The longest life of an access token: how long revocations are kept.
            clock: Seconds since the epoch, for the tokens' times and the revocations.
            timing: The clocks that keys age by; the system's by default.

        Raises:
            ConfigurationError: An argument is malformed.
        """
        if api == "v2" and client_id is None:
            raise ConfigurationError(f"client_id is missing: {how_to_set('client_id')}.")
        url, tenant_url = key_urls(api=api, api_url=api_url, tenant_id=tenant_id)
        lifetime = parse_duration(access_token_ttl, name="access_token_ttl").total_seconds()
        source = KeySource(
            url,
            fetch,
            tenant_url,
            parse_duration(jwks_max_age, name="jwks_max_age").total_seconds(),
            None if jwks_cache is None else check_store(jwks_cache, "jwks_cache"),
        )
        timing = timing or Timing()
        self._api = api
        self._ask = partial(ask, check_token, send)
        self._clock = clock
        self._headers = Headers()
        self._rules = Rules(api=api, api_url=api_url, tenant_id=tenant_id, client_id=client_id)
        self._keys = key_set_of(source, timing)
        shared = (
            None
            if store is None or isinstance(store, MemoryStore)
            else SharedRevocations(store, f"@{tenant_id}@{api_url}", lifetime=lifetime)
        )
        self._feed = RevocationFeed(
            RevocationList(lifetime=lifetime, clock=clock),
            shared,
            webhook_secret=webhook_secret,
            timing=timing._replace(clock=clock),
        )
        self.revocations: Revocations = Revocations(self._feed)
        self.async_revocations: AsyncRevocations = AsyncRevocations(self._feed)

    def verify_token(
        self, token: str | Secret, *, audience: str | Iterable[str] | None = None, leeway: float = 0.0
    ) -> TokenClaims:
        """Verify an access token on this machine, and return its claims.

        Args:
            token: The token, without ``Bearer``.
            audience: Whom the token must be for; by default the tenant, or the client on v2. Of several, any.
            leeway: The seconds by which this machine's clock and the service's may differ.

        Raises:
            TokenInvalid: The token did not verify; the subclass and ``reason`` say why. Answer 401.
            KeysUnavailable: The keys cannot be fetched now. Answer 503.
            ConfigurationError: An argument is malformed, or cryptography is not installed.
            TypeError: The token is not text.
        """
        held = _held(token)
        del token
        flow = self._verified(_text(held), _wish(audience, leeway))
        return _settled(run(flow))

    async def verify_token_async(
        self, token: str | Secret, *, audience: str | Iterable[str] | None = None, leeway: float = 0.0
    ) -> TokenClaims:
        """Do the same without blocking the event loop: only a caller that needs a fetch waits."""
        held = _held(token)
        del token
        flow = self._verified(_text(held), _wish(audience, leeway))
        return _settled(await run_async(flow))

    def verify_token_remote(self, token: str | Secret) -> Verification:
        """Ask the service whether a token is valid. It sees a revocation at once.

        Raises:
            ServiceUnavailable: No usable answer came. Answer 503.
            ApiError: The service refused to answer, such as for a wrong secret key.
            NotSupported: The server is the open-source server (v2).
            ConfigurationError: The secret key is missing.
            TypeError: The token is not text.
        """
        held = _held(token)
        del token
        return self._ask(_text(held))

    async def verify_token_remote_async(self, token: str | Secret) -> Verification:
        """Do the same; the request is sent on a worker thread."""
        held = _held(token)
        del token
        return await run_async(on_worker(partial(self._ask, _text(held))))

    async def is_revoked_async(self, claims: TokenClaims) -> bool:
        """Return whether the session or user of a verified token has been revoked."""
        if self._feed.is_due():
            await run_async(self._feed.catch_up())
        return self._is_revoked(claims, self._clock())

    def _is_revoked(self, claims: TokenClaims, now: float) -> bool:
        return self._feed.known.is_revoked(claims.session_id, claims.user_id, claims.raw.get("iat"), now)

    def _verified(self, token: Secret, wish: _Wish) -> Flow[TokenClaims | TokenInvalid]:
        """Verify a token. A refusal is returned, so that no traceback reaches the token's parts."""
        header = self._read_header(token)
        if isinstance(header, TokenInvalid):
            return header
        key = self._keys.ready(header.kid)
        if key is None:
            key = yield from self._keys.find(header.kid)
        if self._feed.is_due():
            yield from self._feed.catch_up()
        return self._judge(token, header, key, wish)

    def _read_header(self, token: Secret) -> Header | TokenInvalid:
        try:
            return self._headers.read(token)
        except TokenInvalid as error:
            return _bare(error)

    def _judge(
        self, token: Secret, header: Header, key: VerificationKey, wish: _Wish
    ) -> TokenClaims | TokenInvalid:
        try:
            payload = read_payload(token, header, key)
            claims = read_claims(payload, api=self._api)
            self._check(payload, claims, wish)
        except TokenInvalid as error:
            return _bare(error)
        self._headers.remember(header)
        return claims

    def _check(self, payload: dict[str, Any], claims: TokenClaims, wish: _Wish) -> None:
        now = self._clock()
        expected = self._rules.expected(self._keys.tenant_uuid)
        if wish.audiences is not None:
            expected = expected._replace(audiences=wish.audiences)
        check(payload, expected, now=now, leeway=wish.leeway)
        if self._is_revoked(claims, now):
            raise TokenRevoked("The token's session or user was revoked.")


def _held(token: object) -> Secret | TypeError:
    """Wrap a token. The caller drops it before ``_text`` raises the error: bytes may be a token too."""
    text: object = token.reveal() if isinstance(token, Secret) else token
    if isinstance(text, str):
        return Secret(text)
    return TypeError(f"The token must be text, not {type(text).__name__}.")


def _text(held: Secret | TypeError) -> Secret:
    if isinstance(held, TypeError):
        raise held
    return held


def _wish(audience: str | Iterable[str] | None, leeway: float) -> _Wish:
    if audience is None and leeway == 0.0:
        return _USUAL
    return _Wish(None if audience is None else read_audience(audience), read_leeway(leeway))


def _settled(outcome: T | TokenInvalid) -> T:
    if isinstance(outcome, TokenInvalid):
        raise outcome
    return outcome


def _bare(error: TokenInvalid) -> TokenInvalid:
    """Drop an error's traceback and context: their frames hold the token's parts."""
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)
