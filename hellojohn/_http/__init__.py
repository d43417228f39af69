"""Sends the requests of the wire. Never imports the engine, a store or a transport."""

from hellojohn._http._opening import create_client
from hellojohn._http._sender import Sender
from hellojohn._http._settings import Proxy, Timeout, Transport, Verify, connection_checks

__all__ = ["Proxy", "Sender", "Timeout", "Transport", "Verify", "connection_checks", "create_client"]
