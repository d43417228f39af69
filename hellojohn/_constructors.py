"""Lets the errors of an inherited constructor name the class that the app called."""

from types import FunctionType
from typing import TypeVar, cast

T = TypeVar("T")


def own_constructor(kind: type[T]) -> type[T]:
    """Give a class its own copy of the ``__init__`` that it inherits.

    Python's message about a wrong argument begins with the name of the function's class, which is private
    here.
    """
    inherited = cast("FunctionType", kind.__init__)
    copy = FunctionType(
        inherited.__code__,
        inherited.__globals__,
        inherited.__name__,
        inherited.__defaults__,
        inherited.__closure__,
    )
    copy.__kwdefaults__ = inherited.__kwdefaults__
    copy.__annotations__ = inherited.__annotations__
    copy.__doc__ = inherited.__doc__
    copy.__module__ = inherited.__module__
    copy.__qualname__ = f"{kind.__qualname__}.{inherited.__name__}"
    setattr(kind, inherited.__name__, copy)
    return kind
