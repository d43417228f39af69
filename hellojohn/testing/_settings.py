"""The settings that bind a client to an emulator. Not for services elsewhere: nothing here is encrypted."""

from typing import TypedDict

from httpx import BaseTransport, HTTPTransport

from hellojohn._clock import Clock
from hellojohn.emulator import Emulator


class ClientSettings(TypedDict):
    """Arguments of ``HelloJohn`` and ``AsyncHelloJohn``."""

    tenant_id: str
    publishable_key: str
    secret_key: str
    api_url: str
    transport: BaseTransport
    clock: Clock


def settings_for(emulator: Emulator) -> ClientSettings:
    """Return everything that the environment would fill in otherwise: another service's key, or a proxy."""
    return {
        "tenant_id": emulator.tenant_id,
        "publishable_key": emulator.publishable_key,
        "secret_key": emulator.secret_key,
        "api_url": emulator.url,
        # Loading certificates takes longer than a test, and plain HTTP has no use for any.
        "transport": HTTPTransport(verify=False),
        "clock": emulator.clock,
    }
