"""The auth hook for httpx2 clients, of the extra ``hellojohn[httpx2]``."""

from typing import ClassVar

import httpx2

from hellojohn._transport.flow import TokenFlow


class SessionAuth(TokenFlow, httpx2.Auth):
    """An ``httpx2.Auth`` that signs requests with the session's access token."""

    plain_body: ClassVar[type] = httpx2.ByteStream
