"""Sends wire calls. Never imports the engine, a store or a transport."""

from hellojohn._http._sender import Sender
from hellojohn._http._settings import Proxy, Timeout, Verify

__all__ = ["Proxy", "Sender", "Timeout", "Verify"]

Transport = object
