"""Several requests that lead to one result, as a generator: it yields requests and is sent their answers.

A conversation sends nothing itself, so that a test steps through it by hand and any worker can run it. Its
first request is built, and its arguments are checked, before the generator is returned.
"""

from collections.abc import Callable, Generator
from typing import TypeAlias, TypeVar

from hellojohn._wire.values import Answer, ApiRequest

T = TypeVar("T")

Conversation: TypeAlias = Generator[ApiRequest, Answer, T]


def single(request: ApiRequest, read: Callable[[Answer], T]) -> Conversation[T]:
    """Return a conversation of one request, whose answer ``read`` turns into the result."""
    return read((yield request))


def converse(conversation: Conversation[T], send: Callable[[ApiRequest], Answer]) -> T:
    """Run a conversation to its end and return the result.

    Raises:
        HelloJohnError: As the reader of an answer raises it.
    """
    try:
        request = next(conversation)
        while True:
            request = conversation.send(send(request))
    except StopIteration as stop:
        result: T = stop.value
        return result
