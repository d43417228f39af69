"""The command line, ``hellojohn``. Needs the extra: ``pip install 'hellojohn[cli]'``.

Nothing but ``main`` is for use from Python, and nothing of the extra is imported before it is called.
"""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line with the arguments of this process."""
    try:
        from hellojohn.cli._app import app  # noqa: PLC0415 - an extra
        from hellojohn.cli._streams import streams_prepared  # noqa: PLC0415 - the same

        with streams_prepared():
            app()
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", "hellojohn"):
            raise
        sys.exit(f"hellojohn: the command line needs {missing}: pip install 'hellojohn[cli]'")
