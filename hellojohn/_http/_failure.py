"""Puts a failed attempt into words. Only those that are sure to hold no secret are repeated. Pure."""

import httpx

from hellojohn._http._exchange import Exchange
from hellojohn._http._opening import OpenTransport
from hellojohn._wire import ApiRequest, Delivery, TransportFailure

PROXY_REFUSAL = 407

_BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
_QUOTED = (httpx.ConnectError, httpx.ProxyError)
_LONGEST_QUOTE = 200


def no_time() -> TransportFailure:
    """Return the failure of a request that came too late."""
    return TransportFailure(Delivery.NOT_SENT, "there was no time left to send the request")


def not_built(error: Exception) -> TransportFailure:
    """Return the failure of a request that cannot be sent as it is."""
    return TransportFailure(Delivery.NOT_SENT, f"{type(error).__name__}: the request was not sent")


def no_resources(error: OSError) -> TransportFailure:
    """Return the failure of a request for which no connection could be prepared."""
    return TransportFailure(Delivery.NOT_SENT, f"the request was not sent ({error.strerror})")


def refused_by_proxy(source: str) -> TransportFailure:
    """Return the failure of a request that a proxy answered with status 407."""
    return TransportFailure(
        Delivery.NOT_SENT, f"ProxyError: the request was not sent ({_advice_on_407(source)})"
    )


def failure(
    error: Exception, request: ApiRequest, opened: OpenTransport, exchange: Exchange
) -> TransportFailure:
    """Classify an error of the transport, and describe it."""
    delivery = _delivery(error, opened, exchange)
    happened = (
        "the request was not sent"
        if delivery is Delivery.NOT_SENT
        else "the request was sent, and no whole answer arrived"
    )
    reason = _reason(error, request, opened.proxy)
    return TransportFailure(delivery, f"{type(error).__name__}: {happened}{f' ({reason})' if reason else ''}")


def _delivery(error: Exception, opened: OpenTransport, exchange: Exchange) -> Delivery:
    """Say whether the service may have got the request; in doubt it may.

    The sockets know best. The error's type counts where they saw nothing. A transport that retries may
    fail to connect after it has sent the request once.
    """
    if exchange.sent:
        return Delivery.UNKNOWN
    if opened.reports and exchange.limited:
        return Delivery.NOT_SENT
    return Delivery.NOT_SENT if isinstance(error, _BEFORE_SENDING) else Delivery.UNKNOWN


def _reason(error: Exception, request: ApiRequest, proxy: str | None) -> str:
    """Quote the system or the proxy, unless the quote could repeat a header."""
    words = str(error) if isinstance(error, _QUOTED) else ""
    if proxy is not None and isinstance(error, httpx.ProxyError) and words.startswith(str(PROXY_REFUSAL)):
        return _advice_on_407(proxy)
    leaks = any(secret.reveal() in words for secret in request.secrets())
    quote = "" if leaks or not words.isprintable() else words[:_LONGEST_QUOTE]
    way = "" if proxy is None or not isinstance(error, _BEFORE_SENDING) else f"by the proxy in {proxy}"
    return ", ".join(filter(None, (quote, way)))


def _advice_on_407(source: str) -> str:
    return (
        f"the proxy in {source} answered 407: it needs a user name and a password, as in"
        " http://user:password@proxy.example.com:8080, or refuses those that it got"
    )
