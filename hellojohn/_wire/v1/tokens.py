"""v1: read the answer to anything that signs in."""

from hellojohn._wire.errors import refusal
from hellojohn._wire.failures import Meaning
from hellojohn._wire.tokens import read_tokens, with_identity
from hellojohn._wire.v1.codes import CODES
from hellojohn._wire.values import Answer, TokenResponse


def signed_in(
    answer: Answer, *, assumed_path: str | None = None, otherwise: Meaning | None = None
) -> TokenResponse:
    """Read tokens with a refresh token, and who signed in.

    Raises:
        HelloJohnError: The answer has none; ``errors.refusal`` has the arguments.
    """
    tokens = read_tokens(answer)
    if tokens is None or tokens.refresh_token is None:
        raise refusal(answer, CODES, fixed_path=True, assumed_path=assumed_path, otherwise=otherwise)
    return with_identity(tokens)
