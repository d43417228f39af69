"""The sentence of what cannot be pickled because it belongs to a client, with its threads and sockets."""

from typing import NoReturn


class PartOfClient:
    """A part of a client. Whatever holds it, such as ``hj.auth``, does not pickle or deep-copy either."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        """Refuse to pickle or to be copied."""
        msg = (
            "The parts of a client, such as hj.auth and its auth hooks, have threads and sockets: they do not"
            " pickle or deep-copy. Create a client in each process, on the same store."
        )
        raise TypeError(msg)
