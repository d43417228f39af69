"""The settings that bind a client to an emulator. Not for services elsewhere: nothing here is encrypted."""

from collections.abc import Callable
from typing import Literal, TypedDict

from httpx import BaseTransport, HTTPTransport

from hellojohn._clock import Clock
from hellojohn.emulator import Emulator


class ClientSettings(TypedDict):
    """Arguments of ``HelloJohn`` and ``AsyncHelloJohn``."""

    api: Literal["v1", "v2"]
    tenant_id: str
    publishable_key: str
    secret_key: str
    webhook_secret: str
    client_id: str | None
    api_url: str
    transport: Callable[[], BaseTransport]
    clock: Clock


def settings_for(emulator: Emulator) -> ClientSettings:
    """Return every argument that the environment would fill in otherwise, such as another key or a proxy."""
    return {
        "api": emulator.api,
        "tenant_id": emulator.tenant_id,
        "publishable_key": emulator.publishable_key,
        "secret_key": emulator.secret_key,
        "webhook_secret": emulator.webhook_secret,
        "client_id": emulator.client_id,
        "api_url": emulator.url,
        # Loading certificates takes longer than a test, and plain HTTP needs none.
        "transport": lambda: HTTPTransport(verify=False),
        "clock": emulator.clock,
    }


def environment_for(emulator: Emulator) -> dict[str, str]:
    """Return the environment variables that lead a client to the emulator."""
    variables = {
        "HELLOJOHN_API_URL": emulator.url,
        "HELLOJOHN_TENANT_ID": emulator.tenant_id,
        "HELLOJOHN_PUBLISHABLE_KEY": emulator.publishable_key,
        "HELLOJOHN_SECRET_KEY": emulator.secret_key,
        "HELLOJOHN_WEBHOOK_SECRET": emulator.webhook_secret,
    }
    if emulator.client_id is not None:
        variables["HELLOJOHN_CLIENT_ID"] = emulator.client_id
    return variables
