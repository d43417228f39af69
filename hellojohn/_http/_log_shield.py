"""Keeps what a log handler of the app raises away from the SDK's own requests.

httpcore logs each step at DEBUG, also between the first byte of an answer and its last. A handler that raises
there would throw the answer away.
"""

import logging
from contextlib import suppress

from hellojohn._http._exchange import running

_LOGGERS = ("connection", "http11", "http2", "proxy", "socks")


class _Shield(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if running() is None:  # a request of the app
            return True
        logger, others = logging.getLogger(record.name), logging.Filterer()
        others.filters = [it for it in logger.filters if it is not self]
        with suppress(Exception):
            passed: bool | logging.LogRecord = others.filter(record)
            if passed:
                logger.callHandlers(passed if isinstance(passed, logging.LogRecord) else record)
        return False


def shield_logs() -> None:
    """Put the shield before all filters of httpcore's loggers."""
    shield = _Shield()
    for name in _LOGGERS:
        logging.getLogger(f"httpcore.{name}").filters.insert(0, shield)
