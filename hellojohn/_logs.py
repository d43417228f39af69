"""The SDK's loggers. A handler or filter of the app that raises does not end what the SDK is doing."""

import logging
from contextlib import suppress
from typing import Any


class _Logger(logging.LoggerAdapter[logging.Logger]):
    def log(self, level: int, msg: object, *args: object, **options: Any) -> None:  # noqa: ANN401 - as logging has it
        options.setdefault("stacklevel", 2)
        with suppress(Exception):
            super().log(level, msg, *args, **options)


def logger_of(name: str) -> _Logger:
    """Return a logger that raises nothing."""
    return _Logger(logging.getLogger(name), {})
