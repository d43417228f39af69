"""Read the body of an error, in each shape that the service uses. Nothing here raises.

A server's words are data: they are shortened, stripped of control characters, and left out when they repeat a
secret of the request.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hellojohn._errors import ApiError, MfaChallenge
from hellojohn._limits import LONGEST_MESSAGE
from hellojohn._secret import Secret
from hellojohn._wire.reading import Fields, fields, json_object, listed, text
from hellojohn._wire.values import ApiResponse

# Services behind other gateways spell codes in camel case or as words: those errors are not HelloJohn's.
_CODE = re.compile(r"(?=.{1,64}\Z)(?:[a-z][a-z0-9_.:-]*|[A-Z][A-Z0-9_]*)")
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_NEVER_BY_CHANCE = 8
_FACTORS = frozenset({"totp", "sms", "email", "email_otp", "webauthn", "recovery", "backup_codes"})


class Meaning(NamedTuple):
    """The meaning of an error code.

    Attributes:
        error: The error to raise.
        sentence: The message for the developer or the user.
        quotes: Whether the service's words are added, because they hold facts such as a password rule.
    """

    error: type[ApiError]
    sentence: str
    quotes: bool = False


@dataclass(frozen=True, slots=True)
class Codes:
    """The error codes of one dialect.

    Attributes:
        meanings: The meanings. ``"code: detail"`` is looked up before ``"code"``.
        shortest_wait: The least that ``Retry-After`` means.
    """

    meanings: Mapping[str, Meaning]
    shortest_wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """The body of an error.

    Attributes:
        code: The code to branch on, as the server sent it. Do not show it.
        detail: The detail that goes with the code, as the server sent it. Do not show it.
        shown: The code to show; ``None`` when it repeats a secret of the request.
        words: The server's words, safe to show, if it sent any.
        request_id: The id to quote to support.
        challenge: The challenge that a second factor must answer.
        meaning: The meaning of the code, if the dialect knows it.
    """

    code: str = field(repr=False)
    detail: str = field(repr=False)
    shown: str | None
    words: str | None
    request_id: str | None
    challenge: MfaChallenge | None
    meaning: Meaning | None

    def key_in(self, codes: Container[str]) -> str | None:
        """Return the entry of ``codes`` for this failure. The one with its detail goes first."""
        return _key(self.code, self.detail, codes)

    def is_in(self, codes: Container[str]) -> bool:
        """Return whether ``codes`` has an entry for this failure."""
        return self.key_in(codes) is not None


def read_failure(response: ApiResponse, codes: Codes) -> Failure | None:
    """Read the body of an error; ``None`` when it is not HelloJohn's.

    A code at the top level needs a message beside it, or has to be a known one: other services write
    ``{"error": "unauthorized"}``, too.
    """
    document = json_object(response.body) or {}
    nested = fields(document.get("error"))
    content = {**document, **nested}
    code = next((code for code in (content.get("code"), content.get("error")) if isinstance(code, str)), "")
    said, more = content.get("message") or content.get("error_description"), content.get("detail")
    detail = more if isinstance(more, str) else ""
    key = _key(code, detail, codes.meanings)
    if key is None and not (_CODE.fullmatch(code) and (nested or isinstance(said, str))):
        return None
    secrets = response.secrets
    words = " ".join(filter(None, (_words(said, secrets), _words(detail, secrets))))
    return Failure(
        code=code,
        detail=detail,
        shown=code if key is not None or not _echoes(code, secrets) else None,
        words=words or None,
        request_id=read_request_id(content.get("request_id"), response),
        challenge=read_challenge(content, secrets),
        meaning=None if key is None else codes.meanings[key],
    )


def read_challenge(content: Fields, secrets: tuple[Secret, ...]) -> MfaChallenge | None:
    """Read the challenge of a sign-in that needs a second factor."""
    challenge_id = text(content.get("challenge_id"))
    if challenge_id is None or _repeats(challenge_id, secrets):
        return None
    named = *listed(content.get("available_factors")), content.get("preferred_factor")
    names = [text(fields(factor).get("id", factor)) for factor in named]
    *known, first = (
        name if name in _FACTORS or not _repeats(name or "", secrets) else None for name in names
    )
    return MfaChallenge(challenge_id, tuple(filter(None, known)), preferred_factor=first)


def read_request_id(named: object, response: ApiResponse) -> str | None:
    """Read the id to quote to support: the body's, else the header's."""
    found = text(named) or response.headers.get("x-request-id", "")
    return found if _REQUEST_ID.fullmatch(found) and not _echoes(found, response.secrets) else None


def _key(code: str, detail: str, codes: Container[str]) -> str | None:
    exact = f"{code}: {detail}"
    if exact in codes:
        return exact
    return code if code in codes else None


def _words(said: object, secrets: tuple[Secret, ...]) -> str | None:
    if not isinstance(said, str):
        return None
    start = said[: 10 * LONGEST_MESSAGE]
    words = " ".join("".join(char if char.isprintable() else " " for char in start).split())
    return None if _echoes(said, secrets) or _echoes(words, secrets) else words[:LONGEST_MESSAGE] or None


def _repeats(name: str, secrets: tuple[Secret, ...]) -> bool:
    """Return whether an id that is kept repeats a secret. A short secret may be a part of it by chance."""
    return any(
        secret.reveal() == name or (len(secret.reveal()) >= _NEVER_BY_CHANCE and secret.reveal() in name)
        for secret in secrets
    )


def _echoes(said: str, secrets: tuple[Secret, ...]) -> bool:
    return any(secret.reveal() in said for secret in secrets if secret.reveal())
