"""``scripts/bench [name ...]``: run the measurements named, or those of the hook, requests, imports and load.

``race``, ``keys`` and ``browser`` also write their tables into the documents; ``scale`` and ``keys`` take
minutes.
"""

import sys
from importlib import import_module

MEASUREMENTS = {
    "hook": "benchmarks.hook",
    "request": "benchmarks.request",
    "import": "benchmarks.imports",
    "load": "benchmarks.load",
    "race": "benchmarks.race",
    "scale": "benchmarks.scale",
    "verify": "benchmarks.verify",
    "guard": "benchmarks.guard",
    "keys": "benchmarks.keys",
    "browser": "benchmarks.browser",
}
_USUAL = ["hook", "request", "import", "load"]


def main(names: list[str]) -> int:
    """Print the lines of each measurement."""
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        print(f"There is no measurement {unknown[0]!r}: choose from {', '.join(MEASUREMENTS)}.")
        return 2
    for name in names or _USUAL:
        print(f"== {name}", flush=True)
        for line in import_module(MEASUREMENTS[name]).measure():
            print(line, flush=True)
    return 0


if __name__ == "__main__":  # a measurement's child processes import this module too
    sys.exit(main(sys.argv[1:]))
