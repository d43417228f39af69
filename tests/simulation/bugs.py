"""Bugs to plant in the engine, each against one rule. The simulation must find all of them."""

from tests.simulation import (
    bugs_of_idleness,
    bugs_of_order,
    bugs_of_outages,
    bugs_of_records,
    bugs_of_reports,
    bugs_of_tokens,
    bugs_of_waiting,
)
from tests.simulation.planting import BUGS

__all__ = ["BUGS", "plant"]

# To import them is to register their bugs.
_ = bugs_of_idleness, bugs_of_order, bugs_of_outages, bugs_of_records
_ = bugs_of_reports, bugs_of_tokens, bugs_of_waiting


def plant(name: str | None) -> None:
    """Plant the bug of that name, if one is named."""
    if name is not None:
        BUGS[name].plant()
