"""Takes a token's text apart, strictly. It verifies nothing but the signature, and knows no claim.

Each function raises ``TokenInvalid`` for text that is not a signed token of the one form that is issued:
three base64url parts without padding, and JSON objects in UTF-8 whose members are unique.
"""

import binascii
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn, cast

from hellojohn._errors import TokenInvalid, TokenRefusal, UnknownKey
from hellojohn._limits import LONGEST_TOKEN, REMEMBERED_HEADERS
from hellojohn._secret import Secret
from hellojohn.verify._jwks import VerificationKey

_ALGORITHMS = frozenset(("EdDSA", "Ed25519", "RS256", "RS384", "RS512"))
_TYPES = frozenset(("jwt", "at+jwt", "application/at+jwt"))
_TO_BASE64 = bytes(
    {ord("-"): ord("+"), ord("_"): ord("/"), ord("+"): 0, ord("/"): 0, ord("="): 0}.get(byte, byte)
    for byte in range(256)
)
_PADDING = (b"", b"", b"==", b"=")


class Header(NamedTuple):
    """The part of a token's header that counts. Its embedded keys and addresses do not.

    Attributes:
        segment: The header as it stands in the token.
        kid: The key's id.
        algorithm: The algorithm's name.
    """

    segment: str
    kid: str
    algorithm: str


class Headers:
    """The headers of tokens that verified, so that each of the few that an issuer uses is parsed once."""

    def __init__(self) -> None:
        """Remember none."""
        self._known: dict[str, Header] = {}

    def read(self, token: Secret) -> Header:
        """Return a token's header.

        Raises:
            TokenInvalid: It is malformed, or its algorithm is not one that HelloJohn signs with.
            UnknownKey: It names no key.
        """
        text = token.reveal()
        if len(text) > LONGEST_TOKEN or not text.isascii():
            raise TokenInvalid(f"The token is longer than {LONGEST_TOKEN} characters or is not ASCII.")
        segment = text.partition(".")[0]
        return self._known.get(segment) or _read_header(segment)

    def remember(self, header: Header) -> None:
        """Remember the header of a token that verified."""
        if header.segment not in self._known:
            if len(self._known) >= REMEMBERED_HEADERS:
                self._known = {}
            self._known[header.segment] = header


def read_payload(token: Secret, header: Header, key: VerificationKey) -> dict[str, Any]:
    """Check a token's signature and return its claims.

    Raises:
        TokenInvalid: The signature does not fit, or the claims are malformed.
    """
    if header.algorithm not in key.algorithms:
        raise TokenInvalid("The token's algorithm is not that of its key.", reason=TokenRefusal.BAD_ALGORITHM)
    signed, _, signature = token.reveal().rpartition(".")
    payload = signed[len(header.segment) + 1 :]
    if "." in payload or not payload:
        raise TokenInvalid("The token does not have three parts.")
    if not key.is_signed(signed.encode("ascii"), _bytes(signature)):
        raise TokenInvalid("The token's signature is wrong.", reason=TokenRefusal.BAD_SIGNATURE)
    return _json_object(payload)


def payload_of(token: Secret) -> dict[str, Any]:
    """Return a token's claims without checking its signature, for a token that the service has vouched for.

    Raises:
        TokenInvalid: The claims are malformed.
    """
    parts = token.reveal().split(".")
    return _json_object(parts[1] if len(parts) == len("123") else "")


def _read_header(segment: str) -> Header:
    members = _json_object(segment)
    algorithm, kid, kind = members.get("alg"), members.get("kid"), members.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
        raise TokenInvalid(
            "The token's algorithm is not one that HelloJohn signs with.", reason=TokenRefusal.BAD_ALGORITHM
        )
    if "crit" in members or members.get("b64", True) is not True:
        raise TokenInvalid("The token's header demands an extension that is not supported.")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise TokenInvalid("The token is of another type than an access token.")
    if kid is None:
        raise UnknownKey("The token names no key.")
    if not isinstance(kid, str):
        raise TokenInvalid("The token's key id is not text.")
    return Header(segment, kid, algorithm)


def _bytes(segment: str) -> bytes:
    """Decode base64url in its one form, so that no two texts are the same token."""
    text = segment.encode("ascii").translate(_TO_BASE64) + _PADDING[len(segment) % 4]
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        data = None
    if data is None or binascii.b2a_base64(data, newline=False) != text:
        raise TokenInvalid("The token is not base64url.")
    return data


def _json_object(segment: str) -> dict[str, Any]:
    data = _bytes(segment)
    try:
        value: object = _DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise TokenInvalid("The token does not hold JSON objects with unique members.")
    return cast("dict[str, Any]", value)


def _unique(pairs: list[tuple[str, object]]) -> Mapping[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
