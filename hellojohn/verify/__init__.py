"""The server's side of a session: verify access tokens, and refuse revoked ones.

A client makes one ``Verifier`` and forwards to it, one line a method:

    verifier = Verifier(
        api=settings.api, api_url=settings.api_url, tenant_id=settings.tenant_id,
        client_id=settings.client_id, clock=settings.clock,
        fetch=KeyFetcher(verify=verify, proxy=proxy, transport=transport),      # hellojohn._http._keys
        check_token=dialect.admin.check_token,
        send=lambda request, deadline: sender.send(request, deadline=deadline),
        store=store, webhook_secret=..., jwks_max_age=..., jwks_cache=..., access_token_ttl=...,
    )

    HelloJohn.verify_token           verifier.verify_token(token, audience=audience, leeway=leeway)
    AsyncHelloJohn.verify_token      await verifier.verify_token_async(...)
    HelloJohn.verify_token_remote    verifier.verify_token_remote(token)
    AsyncHelloJohn.verify_token_remote    await verifier.verify_token_remote_async(token)
    HelloJohn.revocations            verifier.revocations
    AsyncHelloJohn.revocations       verifier.async_revocations

It needs no closing, and clients made by ``for_account`` share it. This room never imports the session engine.
PyJWT and cryptography are loaded on a worker thread, with the first keys; the extra ``verify`` installs them.
"""

from hellojohn.verify._claims import TokenClaims
from hellojohn.verify._remote import Verification
from hellojohn.verify._revocations import AsyncRevocations, Revocations
from hellojohn.verify._verifier import Verifier
from hellojohn.verify._webhooks import WebhookEvent

__all__ = [
    "AsyncRevocations",
    "Revocations",
    "TokenClaims",
    "Verification",
    "Verifier",
    "WebhookEvent",
]
