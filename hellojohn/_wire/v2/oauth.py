"""v2: sign-in with a browser at the server's own login, and tokens for services."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import urlencode

from hellojohn._details import Device
from hellojohn._errors import ApiError, ChallengeExpired, ConfigurationError, NotSupported
from hellojohn._limits import LONGEST_LINK
from hellojohn._secret import Secret
from hellojohn._wire.arguments import checked_address, checked_secret
from hellojohn._wire.conversation import Conversation, single
from hellojohn._wire.failures import Failure, read_failure
from hellojohn._wire.outcome import failed_refresh
from hellojohn._wire.reading import Fields
from hellojohn._wire.tokens import read_tokens, success
from hellojohn._wire.topics import OAuthCode
from hellojohn._wire.v2.codes import CODES
from hellojohn._wire.v2.id_token import read_id_token
from hellojohn._wire.v2.requests import Requests
from hellojohn._wire.v2.tokens import signed_in
from hellojohn._wire.values import Answer, ApiResponse, Outcome, OutcomeKind, TokenResponse

_TOKEN = "/oauth2/token"  # noqa: S105 - a path
_SCOPE = re.compile(r"[!#-\[\]-~]+")  # the characters of RFC 6749


class V2OAuth:
    """Implements ``OAuth``."""

    def __init__(self, requests: Requests) -> None:
        """Build requests with ``requests``."""
        self._requests = requests

    def authorize_url(
        self,
        *,
        provider: str | None,
        redirect_uri: str,
        state: str,
        nonce: str,
        code_challenge: str,
        scopes: Sequence[str],
    ) -> str:
        """Return the address at which the browser begins."""
        _refuse_provider(provider)
        query = {
            "response_type": "code",
            "client_id": self._requests.client_id,
            "redirect_uri": checked_address(redirect_uri, name="redirect_uri"),
            "scope": " ".join(_checked_scopes(scopes)),
            "state": state,
            "nonce": nonce,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._requests.base_url}/oauth2/authorize?{urlencode(query)}"

    def exchange_code(
        self,
        code: OAuthCode,
        *,
        duration: str | None,
        device: Device | None,
    ) -> Conversation[TokenResponse]:
        """Sign in with a code."""
        _refuse_provider(code.provider)
        body = {
            "grant_type": "authorization_code",
            "code": checked_secret(code.code, name="code", longest=LONGEST_LINK),
            "redirect_uri": code.redirect_uri,
            "client_id": self._requests.client_id,
            "code_verifier": code.code_verifier,
        }
        read = partial(_read_code_tokens, code=code, requests=self._requests)
        return single(self._requests.form(_TOKEN, body), read)

    def service_token(self, client_secret: Secret, *, scopes: Iterable[str]) -> Conversation[Outcome]:
        """Ask once for a token for the client itself."""
        body: dict[str, object] = {
            "grant_type": "client_credentials",
            "client_id": self._requests.client_id,
            "client_secret": _checked_client_secret(client_secret),
        }
        wanted = _checked_scopes(scopes)
        if wanted:
            body["scope"] = " ".join(wanted)
        request = self._requests.form(_TOKEN, body, idempotent=True)
        return single(request, partial(_service_outcome, scopes=wanted))


def _refuse_provider(provider: str | None) -> None:
    if provider is not None:
        raise NotSupported(
            "sign-in through a provider: the open-source server (v2) drops the state that protects it. Any"
            " page could sign the user in to another account. Leave provider out for the server's own login."
        )


def _checked_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    given: object = scopes
    names = None if isinstance(given, str) or not isinstance(given, Iterable) else tuple(scopes)
    if names is None or not all(map(_is_scope, names)):
        raise ConfigurationError(
            "scopes must be a list of names of visible ASCII without spaces, quotes and backslashes, such as"
            ' ["orders:read"].'
        )
    return names


def _is_scope(name: object) -> bool:
    return isinstance(name, str) and _SCOPE.fullmatch(name) is not None


def _checked_client_secret(client_secret: Secret) -> Secret:
    if not client_secret.is_sendable():
        raise ConfigurationError(
            "client_secret must be the client's secret as the server shows it: visible ASCII without spaces."
        )
    return client_secret


def _failure(answer: Answer) -> Failure | None:
    return read_failure(answer, CODES) if isinstance(answer, ApiResponse) and not answer.is_success else None


def _read_code_tokens(answer: Answer, *, code: OAuthCode, requests: Requests) -> TokenResponse:
    failure = _failure(answer)
    if failure is not None and failure.code == "invalid_grant":
        raise ChallengeExpired(
            "The server refused the code of the browser sign-in. The code was used, has expired or belongs to"
            " another client or address. The published open-source server refuses every code: it stores the"
            " challenge method under two names. Use auth.sign_in with a password there.",
            status=answer.status if isinstance(answer, ApiResponse) else None,
            code=failure.shown,
            request_id=failure.request_id,
        )
    tokens = signed_in(answer)
    user = read_id_token(
        success(answer) or {}, code=code, access_token=tokens.access_token, requests=requests
    )
    if isinstance(user, ApiError):
        raise user
    return tokens if user is None else replace(tokens, user=user)


def _service_outcome(answer: Answer, *, scopes: tuple[str, ...]) -> Outcome:
    """Return the meaning of an answer to ``service_token``: as of a refresh, without a session to end."""
    tokens = read_tokens(answer)
    if tokens is None:
        outcome = failed_refresh(answer, CODES, {})
        if outcome.kind is not OutcomeKind.MISCONFIGURED:
            return outcome
        return replace(outcome, error=_wrong_settings(outcome.code, scopes) or outcome.error)
    if not _is_bearer(success(answer) or {}):
        error = ApiError("HelloJohn issued a token that is not a bearer token. The SDK cannot send it.")
        return Outcome(OutcomeKind.MISCONFIGURED, error=error)
    return Outcome(OutcomeKind.SUCCESS, TokenResponse(tokens.access_token, None, tokens.ttl))


def _wrong_settings(code: str | None, scopes: tuple[str, ...]) -> ConfigurationError | None:
    match code:
        case "invalid_client":
            return ConfigurationError(
                "The server refused the client's secret: check client_id (HELLOJOHN_CLIENT_ID) and"
                " client_secret."
            )
        case "invalid_scope":
            return ConfigurationError(
                f"The client does not have all of these scopes: {', '.join(scopes)}. Add them to the client,"
                " or ask for fewer."
            )
        case "unsupported_grant_type":
            return ConfigurationError(
                "The client cannot get service tokens: it has to be confidential, with the grant"
                " client_credentials."
            )
        case _:
            return None


def _is_bearer(content: Fields) -> bool:
    kind = content.get("token_type", "bearer")
    return isinstance(kind, str) and kind.lower() == "bearer"
