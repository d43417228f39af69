"""``hj.auth``: every way to sign in, sign-out and the session, in two faces."""

from hellojohn._auth.asynchronous import AsyncAuth
from hellojohn._auth.sync import Auth

__all__ = ["AsyncAuth", "Auth"]
