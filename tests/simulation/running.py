"""Runs the simulation as ``scripts/simulate`` does, in a separate process.

Coverage counts wrong across greenlets and slows them down; and a planted bug must not stay.
"""

import os
import subprocess
import sys


def simulate(*arguments: str, hash_seed: int = 0) -> subprocess.CompletedProcess[str]:
    """Run schedules, and return the output of the command."""
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation.run", *arguments],
        capture_output=True,
        check=False,
        env={**unmeasured, "PYTHONHASHSEED": str(hash_seed)},
        text=True,
    )
