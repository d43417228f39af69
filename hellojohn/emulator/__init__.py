"""The HelloJohn v1 service on your own machine, for development and tests.

Needs the extra: ``pip install 'hellojohn[emulator]'``. It shares no protocol code with the SDK, so that a
misreading of the documentation on either side shows.
"""

try:
    from hellojohn.emulator.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
    from hellojohn.emulator.faults import Hold
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] == "hellojohn":
        raise
    _MESSAGE = f"The emulator needs {error.name}: pip install 'hellojohn[emulator]'"
    raise ImportError(_MESSAGE, name=error.name) from error

__all__ = ["DEMO_EMAIL", "DEMO_PASSWORD", "Emulator", "Hold"]
