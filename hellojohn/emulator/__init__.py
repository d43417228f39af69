"""The HelloJohn service on your own machine, for development and tests.

Needs the extra: ``pip install 'hellojohn[emulator]'``. It shares no protocol code with the SDK, so that a
misreading of the documentation by either of them shows.
"""

try:
    from hellojohn.emulator.app import RequestLine
    from hellojohn.emulator.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
    from hellojohn.emulator.faults import Hold
    from hellojohn.emulator.mail import Inbox, Mail
    from hellojohn.emulator.records import SessionInfo
    from hellojohn.emulator.webhooks import Delivery, Webhook
except ModuleNotFoundError as _missing:
    if (_missing.name or "").partition(".")[0] == "hellojohn":
        raise
    _MESSAGE = f"The emulator needs {_missing.name}: pip install 'hellojohn[emulator]'"
    raise ImportError(_MESSAGE, name=_missing.name) from _missing

__all__ = [
    "DEMO_EMAIL",
    "DEMO_PASSWORD",
    "Delivery",
    "Emulator",
    "Hold",
    "Inbox",
    "Mail",
    "RequestLine",
    "SessionInfo",
    "Webhook",
]
