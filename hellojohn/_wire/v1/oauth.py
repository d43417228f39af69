"""v1: sign-in with a browser, through a provider. Service tokens are not published."""

from collections.abc import Iterable, Sequence
from functools import partial
from urllib.parse import urlencode

from hellojohn._details import Device
from hellojohn._errors import ChallengeExpired, NotSupported
from hellojohn._limits import LONGEST_LINK
from hellojohn._secret import Secret
from hellojohn._wire.arguments import checked_address, checked_id, checked_secret, required_key
from hellojohn._wire.conversation import Conversation, single
from hellojohn._wire.failures import Meaning
from hellojohn._wire.topics import OAuthCode
from hellojohn._wire.v1.requests import Requests
from hellojohn._wire.v1.tokens import signed_in
from hellojohn._wire.values import Outcome, TokenResponse

_BURNT = Meaning(
    ChallengeExpired,
    "The code of the browser sign-in was used, has expired or is another sign-in's. Start over.",
)


class V1OAuth:
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
        key = required_key(
            self._requests.publishable_key, name="publishable_key", call="sign-in with a browser"
        )
        query = {
            "redirect_uri": checked_address(redirect_uri, name="redirect_uri"),
            "state": state,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
            # A browser sends no headers of an SDK: these two take their place.
            "tenant_id": self._requests.tenant_id,
            "publishable_key": key.reveal(),
        }
        return f"{self._requests.base_url}{_path(provider)}/authorize?{urlencode(query)}"

    def exchange_code(
        self, code: OAuthCode, *, duration: str | None, device: Device | None
    ) -> Conversation[TokenResponse]:
        """Sign in with a code."""
        body: dict[str, object] = {
            "code": checked_secret(code.code, name="code", longest=LONGEST_LINK),
            "code_verifier": code.code_verifier,
            "redirect_uri": code.redirect_uri,
        }
        if duration is not None:
            body["session_options"] = {"duration": duration}
        path = f"{_path(code.provider)}/callback"
        request = self._requests.public(path, body, call="sign-in with a browser", device=device)
        return single(request, partial(signed_in, otherwise=_BURNT))

    def service_token(self, client_secret: Secret, *, scopes: Iterable[str]) -> Conversation[Outcome]:
        """Refuse: v1 publishes no service tokens."""
        raise NotSupported(
            "service_auth and service_token: the cloud API (v1) has not published service tokens. The"
            ' open-source server (api="v2") issues them. To call HelloJohn itself from a back end, pass'
            " secret_key=... to the client."
        )


def _path(provider: str | None) -> str:
    if provider is None:
        raise NotSupported(
            "sign-in with a browser: the cloud API (v1) publishes no login page. Name a provider, such as"
            ' provider="google", or call auth.sign_in.'
        )
    return f"/v1/auth/oauth/{checked_id(provider, name='provider')}"
