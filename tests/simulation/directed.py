"""Schedules that lead straight to one rule.

Each says what happens to whom; only the order of the turns is drawn, so each is played several times. The
rules that judge all schedules judge these as well.
"""

from tests.simulation import (
    directed_idle,
    directed_last_wins,
    directed_outages,
    directed_processes,
    directed_refreshes,
    directed_states,
)
from tests.simulation.stage import DIRECTED, SEEDS

__all__ = ["DIRECTED", "SEEDS"]

# To import them is to register their schedules.
_ = (
    directed_idle,
    directed_last_wins,
    directed_outages,
    directed_processes,
    directed_refreshes,
    directed_states,
)
