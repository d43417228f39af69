"""One session's record in a Redis or Valkey server, with the lock beside it: each action is one command.

The client sends a command again when a connection is lost before the answer, so the server may run a script
twice. The second run of each script here must not undo or repeat anything.
"""

import math
from contextlib import suppress
from enum import IntEnum
from typing import cast

from hellojohn._errors import StoreCorrupt, StoreLocked
from hellojohn._secret import Secret
from hellojohn.stores._encoding import decoded, refuse_unfit
from hellojohn.stores._redis_server import Part, RedisServer

# In each script, KEYS[1] is the record, KEYS[2] its lock, and ARGV[1] the token of the lock's holder.
ACQUIRE = """
local holder = redis.call('get', KEYS[2])
if holder and holder ~= ARGV[1] then return {0} end
redis.call('set', KEYS[2], ARGV[1], 'PX', ARGV[2])
local text = redis.pcall('get', KEYS[1])
if type(text) == 'table' then return {1} end
return {1, text}"""
RELEASE = "if redis.call('get', KEYS[2]) == ARGV[1] then return redis.call('del', KEYS[2]) end return 0"
# The fence: a caller that took the lock writes only while the lock is still its own.
_FENCE = "if ARGV[1] ~= '' and redis.call('get', KEYS[2]) ~= ARGV[1] then return -1 end "
_WRITE = """
if ARGV[3] == '' then redis.call('set', KEYS[1], ARGV[2])
else redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
"""
_SAVE = f"{_FENCE}{_WRITE}return 1"
# In its second run, the lock is gone because the first run released it: then the text is in place.
_SAVE_AND_RELEASE = f"""
if redis.call('get', KEYS[2]) ~= ARGV[1] then
  if redis.pcall('get', KEYS[1]) == ARGV[2] then return 1 end
  return -1
end{_WRITE}
return redis.call('del', KEYS[2])"""
_DELETE = f"{_FENCE}return redis.call('del', KEYS[1])"
_RENAME = (
    f"{_FENCE}if redis.call('exists', KEYS[1]) == 0 then return 2 end "
    "return redis.call('renamenx', KEYS[1], KEYS[3])"
)
_LOST = -1


class Renaming(IntEnum):
    """The outcome of a renaming, as the script returns it."""

    TAKEN = 0
    DONE = 1
    MISSING = 2


class RedisRecord:
    """The record under one name, and its lock under another.

    Attributes:
        name: The server's key of the record.
        lock_name: The server's key of the lock.
        lease: Seconds the lock lasts.
    """

    def __init__(self, server: RedisServer, name: str, lease: float) -> None:
        """Use the server's key ``name``; nothing is sent yet."""
        self.name = name
        self.lock_name = f"{name}:lock"
        self.lease = lease
        self._server = server

    def load(self) -> str | None:
        """Return the text, or ``None`` if it is missing or has expired.

        Raises:
            StoreCorrupt: The data is not a text that was saved here.
            StoreUnavailable: The server failed.
        """
        return decoded(self._server.send("GET", self.name, NEVER_DECODE=True), self.name)

    def save(
        self, text: Secret, expires_in: float | None = None, *, token: str, release: bool = False
    ) -> None:
        """Save ``text``, to expire in ``expires_in`` seconds.

        Args:
            text: The text.
            expires_in: Seconds until the server may forget it.
            token: The token of the lock that the caller holds; empty for a save without the lock.
            release: Release that lock in the same command.

        Raises:
            StoreLocked: The lock was lost. Nothing was written.
            StoreCorrupt: ``text`` is larger than 1 MiB, or not valid Unicode. Nothing was written.
            StoreUnavailable: The server failed or is full. It holds the old text, or the new one if only the
                answer was lost.
        """
        refuse_unfit(text)
        life = "" if expires_in is None else max(1, int(expires_in * 1000))
        self._fenced(_SAVE_AND_RELEASE if release else _SAVE, token, text, life)

    def delete(self, *, token: str) -> None:
        """Remove the record; ``token`` and the errors are those of ``save``."""
        self._fenced(_DELETE, token)

    def rename(self, place: str, *, token: str) -> Renaming:
        """Rename the record to ``place``; ``token`` and the errors are those of ``save``."""
        return Renaming(self._fenced(_RENAME, token, place=place))

    def acquire(self, token: str) -> list[Secret | None] | None:
        """Take the lock for ``token``, or renew its lease.

        Returns:
            ``None`` if another token has the lock. Otherwise a list of one: the text that came with the lock,
            or ``None`` for no record. The list is empty if ``load`` would find the data corrupt.

        Raises:
            StoreUnavailable: The server failed. It may have given the lock.
        """
        lease = math.ceil(self.lease * 1000)
        answer = self._server.run(ACQUIRE, self._keys(), token, lease, NEVER_DECODE=True)
        return _texts_in(answer) if answer[0] else None

    def release(self, token: str) -> None:
        """Release the lock if ``token`` has it.

        Raises:
            StoreUnavailable: The server failed.
        """
        self._server.run(RELEASE, self._keys(), token)

    def release_once(self, token: str) -> None:
        """Release the lock in one attempt, and ignore a failure: the server may hang."""
        self._server.run_once(RELEASE, self._keys(), token)

    def _keys(self) -> tuple[str, str]:
        return self.name, self.lock_name

    def _fenced(self, script: str, token: str, *parts: Part, place: str = "") -> int:
        keys = (*self._keys(), place) if place else self._keys()
        answer: int = self._server.run(script, keys, token, *parts)
        if answer == _LOST:
            msg = (
                f"The lock {self.lock_name} was lost: its lease of {self.lease:g} s ran out, or the server"
                " restarted. Nothing was written. Take the lock again and load the text that is there now."
            )
            raise StoreLocked(msg)
        return answer


def _texts_in(answer: list[bytes | str | int | None]) -> list[Secret | None]:
    """Return the text in the answer of ``ACQUIRE``, in a list; an empty list for data that is not a text."""
    for data in answer[1:]:
        with suppress(StoreCorrupt):
            text = decoded(cast("bytes | str | None", data), "")
            return [None if text is None else Secret(text)]
    return []
