"""The auth hook for httpx clients."""

from typing import ClassVar

import httpx

from hellojohn._transport.flow import TokenFlow


class SessionAuth(TokenFlow, httpx.Auth):
    """An ``httpx.Auth`` that signs requests with the session's access token."""

    plain_body: ClassVar[type] = httpx.ByteStream
