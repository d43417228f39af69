"""Finds the addresses of a host and connects to the first that answers. Imports httpcore: load it late."""

import codecs
import contextlib
import math
import socket
import time
from collections.abc import Callable
from itertools import chain, zip_longest

import httpcore

codecs.lookup("idna")  # the resolver would load it, and needs a file descriptor for that


def addresses_of(host: str, port: int, last_good: str | None) -> list[str]:
    """Return the addresses of ``host``, without duplicates.

    The families take turns, because a broken route usually affects one of them. The address that worked
    last comes first, so that a dead one costs its share of the time once.

    Raises:
        httpcore.ConnectError: The name has no address, or is malformed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    families: dict[int, list[str]] = {}
    for family, *_, place in found:
        families.setdefault(family, []).append(str(place[0]))
    in_turns = chain.from_iterable(zip_longest(*families.values()))
    addresses = list(dict.fromkeys(address for address in in_turns if address is not None))
    if not addresses:
        raise httpcore.ConnectError("The host has no address.")
    return sorted(addresses, key=lambda address: address != last_good)


def connect_to_first(
    addresses: list[str],
    seconds: float | None,
    connect: Callable[[str, float | None], httpcore.NetworkStream],
) -> tuple[str, httpcore.NetworkStream]:
    """Connect to one address after the other; return the first that answers, and its connection.

    Each address gets an equal share of the time that is left, so that a dead one does not use it up.

    Raises:
        httpcore.ConnectError: The last address refused.
        httpcore.ConnectTimeout: The last address did not answer in time.
    """
    ends_at = math.inf if seconds is None else time.monotonic() + seconds
    *others, last = addresses
    for position, address in enumerate(others):
        with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
            return address, connect(address, _share(ends_at, len(addresses) - position))
    return last, connect(last, _share(ends_at, 1))


def _share(ends_at: float, addresses: int) -> float | None:
    if math.isinf(ends_at):
        return None
    left = ends_at - time.monotonic()
    if left <= 0:
        raise httpcore.ConnectTimeout
    return left / addresses
