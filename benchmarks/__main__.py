"""``scripts/bench [name ...]``: run the measurements named, or all that need no further packages."""

import sys
from collections.abc import Callable

from benchmarks import hook, imports, load, request

MEASUREMENTS: dict[str, Callable[[], list[str]]] = {
    "hook": hook.measure,
    "request": request.measure,
    "import": imports.measure,
    "load": load.measure,
}


def main(names: list[str]) -> int:
    """Print the lines of each measurement."""
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        print(f"There is no measurement {unknown[0]!r}: choose from {', '.join(MEASUREMENTS)}.")
        return 2
    for name in names or MEASUREMENTS:
        print(f"== {name}", flush=True)
        for line in MEASUREMENTS[name]():
            print(line, flush=True)
    return 0


sys.exit(main(sys.argv[1:]))
