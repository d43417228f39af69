"""Sends wire calls. Never imports the engine, a store or a transport."""

from hellojohn._http._sender import Sender

__all__ = ["Sender"]
