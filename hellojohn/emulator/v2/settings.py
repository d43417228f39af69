"""The settings of an emulated open-source server, and how they are changed. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Final, TypedDict

from hellojohn._duration import parse_duration
from hellojohn._errors import ConfigurationError
from hellojohn.emulator.v2.records import Client, IssuerMode
from hellojohn.emulator.v2.tenants import Tenant

_TTLS: Final = {"access_token_ttl": "access_token_ttl", "session_duration": "refresh_token_ttl"}
_MISSING: Final = ("idle_timeout", "max_sessions_per_user")


class Settings(TypedDict, total=False):
    """The settings that only this server has, as ``Emulator.configure`` takes them.

    The first ones are those of ``Switches``.
    """

    reuse_detection: bool
    register_signs_in: bool
    lifetimes_from_sign_in: bool
    mended: bool
    verified_email_required: bool
    issuer_mode: IssuerMode


@dataclass(frozen=True, slots=True)
class Switches:
    """Settings of the server as a whole.

    Attributes:
        reuse_detection: Whether a revoked refresh token ends its family when it comes again.
        register_signs_in: Whether registering begins a session.
        lifetimes_from_sign_in: Whether the lives that a client asks for count from the sign-in on, and not
            from the first refresh on.
        mended: Whether the two values are there that the published server never sets. Without them it can
            neither enrol authenticator apps nor redeem authorization codes.
    """

    reuse_detection: bool = False
    register_signs_in: bool = True
    lifetimes_from_sign_in: bool = False
    mended: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """Settings that were checked and are ready to be applied."""

    switches: Mapping[str, bool]
    client: Mapping[str, object]
    tenant: Mapping[str, object]

    def to_switches(self, switches: Switches) -> Switches:
        """Return changed switches."""
        return replace(switches, **self.switches)

    def to_client(self, client: Client) -> Client:
        """Return a changed client."""
        return replace(client, **self.client)  # type: ignore[arg-type]  # each value was checked under its name

    def apply_to(self, tenant: Tenant) -> None:
        """Change a tenant."""
        for name, value in self.tenant.items():
            setattr(tenant, name, value)


def check(settings: Mapping[str, object]) -> Changes:
    """Return settings as changes.

    Raises:
        ConfigurationError: A name or a value is wrong.
    """
    switches = {name: _flag(name, settings[name]) for name in _switch_names() if name in settings}
    client: dict[str, object] = {
        attribute: _seconds(name, settings[name]) for name, attribute in _TTLS.items() if name in settings
    }
    if "verified_email_required" in settings:
        client["verified_only"] = _flag("verified_email_required", settings["verified_email_required"])
    tenant = {"issuer_mode": _mode(settings["issuer_mode"])} if "issuer_mode" in settings else {}
    known = {*_switch_names(), *_TTLS, "verified_email_required", "issuer_mode"}
    for name, value in settings.items():
        if name in _MISSING and value is not None:
            msg = f"{name} must be None: this server limits neither idle time nor the number of sessions."
            raise ConfigurationError(msg)
        if name not in known and name not in _MISSING:
            msg = f"There is no setting {name!r}. The settings are: {', '.join(sorted(known))}."
            raise ConfigurationError(msg)
    return Changes(switches, client, tenant)


def _switch_names() -> list[str]:
    return [field.name for field in fields(Switches)]


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        msg = f"{name} is True or False, not {value!r}."
        raise ConfigurationError(msg)
    return value


def _seconds(name: str, value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, str | timedelta):
        msg = f"{name} is text such as '15m', or a timedelta, not {value!r}."
        raise ConfigurationError(msg)
    return int(parse_duration(value, name=name).total_seconds())


def _mode(value: object) -> str:
    if value not in ("path", "global"):
        msg = f"issuer_mode is 'path' or 'global', not {value!r}."
        raise ConfigurationError(msg)
    return str(value)
