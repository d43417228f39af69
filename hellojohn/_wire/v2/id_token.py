"""v2: the ID token of a browser sign-in: whom it names, and whether it belongs to this sign-in.

The checks are those of OpenID Connect Core 1.0, section 3.1.3.7, with three exceptions.

- The signature is not checked. Item 6 allows that for a token that comes straight from the token endpoint.
  The connection vouches for it, as for the access token beside it.
- A token of another issuer is ignored. A back end may reach the server at another address than browsers do.
- The times are not checked. The token has just been issued, and the clock of this machine may be wrong.

Nothing here raises, so that no frame of a traceback holds an unmasked token.
"""

import hmac

from hellojohn._errors import ApiError
from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._wire.reading import Fields, claims, listed, text, token
from hellojohn._wire.topics import OAuthCode
from hellojohn._wire.v2.requests import Requests
from hellojohn._wire.v2.tokens import read_user


def read_id_token(
    content: Fields, *, code: OAuthCode, access_token: Secret, requests: Requests
) -> User | ApiError | None:
    """Return the user that the ID token of an answer names.

    Returns:
        The user, the error to raise, or ``None`` for an answer without an ID token, or with another
        issuer's: PKCE and ``state`` protect the sign-in as well.
    """
    if "id_token" not in content:
        return None
    id_token = token(content["id_token"])
    known: Fields = {} if id_token is None else claims(id_token)
    user = read_user(known)
    if not hmac.compare_digest((text(known.get("nonce")) or "").encode(), code.nonce.encode()):
        return ApiError("The ID token belongs to another sign-in (nonce). Start the sign-in again.")
    if not _is_for(requests.client_id, known):
        return ApiError("The ID token is for another client (aud). Check client_id (HELLOJOHN_CLIENT_ID).")
    if user is None or user.id != claims(access_token).get("sub", user.id):
        return ApiError("The ID token and the access token name different users (sub).")
    is_issuer = known.get("iss") in (requests.base_url, f"{requests.base_url}/t/{requests.tenant_id}")
    return user if is_issuer else None


def _is_for(client_id: str, known: Fields) -> bool:
    """Return whether a token is meant for the client, and for this one if for several."""
    audience = known.get("aud")
    audiences = listed(audience) or [audience]
    party = known.get("azp", client_id if len(audiences) == 1 else None)
    return client_id in audiences and party == client_id
