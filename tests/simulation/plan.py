"""The terms of one schedule, drawn from its seed: the processes, the service's settings, what fails."""

from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from typing import TypeVar

T = TypeVar("T")

_STEADY = (
    *("use",) * 12,
    *("refresh", "access_token") * 2,
    *("session", "user", "sign_in", "sign_out"),
)
_COMING_AND_GOING = (
    *("use", "sign_in", "sign_out", "refresh", "session") * 2,
    *("use", "use", "access_token"),
)


class Chance(Random):
    """A seeded source of choices."""

    def one_of(self, *choices: T) -> T:
        """Return one of these."""
        return choices[int(self.random() * len(choices))]

    def happens(self, probability: float) -> bool:
        """Return true as often as ``probability`` says."""
        return self.random() < probability


class Mood(StrEnum):
    """The methods of a store that fail for some time."""

    WELL = "well"
    FULL = "full"
    LATE = "full for every task that has an answer to save"
    STUCK = "stuck"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Plan:
    """The terms of a schedule. Probabilities are for each opportunity.

    Attributes:
        api: The dialect.
        calm: Nothing fails, so nothing may cost more than it must.
        turns: How many turns the schedule takes before it is let run out.
        callers: How many calls are made in them, at most.
        processes: How many processes share the store.
        accounts: How many sessions the store has room for.
        lease: Seconds a lock lasts at most; ``None`` if it ends with its holder.
        quarantines: Whether the store has a ``quarantine`` method.
        fused: Whether a lock of the store returns the locked value.
        losable: Whether a living holder may lose its lock.
        grace: For how long the service takes a rotated token again.
        ttl: The access token's life.
        idle: The tenant's idle timeout; in v2, the client's.
        knows_idle: Whether the client has the setting.
        duration: The longest session.
        deaf: Whether the service ignores how long a session was asked for.
        nested: Whether a sign-in is answered in the nested shape.
        background: Whether tokens are refreshed ahead of their expiry.
        skew: How far apart the processes' clocks are, in seconds.
        stickiness: How likely the task that ran last goes on.
        fine: Whether others may run between any two steps in memory as well.
        haste: How likely time passes though a task could run.
        calls: Which calls are made; one that is listed twice is made twice as often.
        bursts: How likely several calls are made at once, in one process and on one account.
        drops: How likely a process lets go of the accounts that are not in use.
        bounded: How likely a request has timeouts.
        mood: The store's first mood.
        network, store, moods, crash, corruption, setback, trouble, freezes: How likely each of them is.
            ``moods`` are the store's. ``trouble`` comes from the service: sessions revoked, users disabled,
            tokens stolen or rejected. ``freezes`` suspend a process.
        outages: How likely the database of a v2 server goes away or comes back.
        detects_reuse: Whether a v2 server ends the session when a rotated token comes.
    """

    api: str = "v1"
    calm: bool = True
    turns: int = 400
    callers: int = 14
    processes: int = 1
    accounts: int = 1
    lease: float | None = None
    quarantines: bool = True
    fused: bool = False
    losable: bool = False
    grace: str | None = None
    ttl: str = "10m"
    idle: str | None = None
    knows_idle: bool = False
    duration: str = "30d"
    deaf: bool = False
    nested: bool = True
    background: bool = True
    skew: float = 0.0
    stickiness: float = 0.0
    fine: bool = True
    haste: float = 0.0
    calls: tuple[str, ...] = _STEADY
    bursts: float = 0.0
    drops: float = 0.0
    bounded: float = 0.0
    mood: Mood = Mood.WELL
    network: float = 0.0
    store: float = 0.0
    moods: float = 0.0
    crash: float = 0.0
    corruption: float = 0.0
    setback: float = 0.0
    trouble: float = 0.0
    freezes: float = 0.0
    outages: float = 0.0
    detects_reuse: bool = False


def draw(chance: Chance, api: str = "v1") -> Plan:
    """Draw the terms of a schedule."""
    plan = _draw(chance)
    if api == "v1":
        return plan
    # This server has no grace window, no idle timeout and no session cap, and always names the user. So it is
    # the client that ends idle sessions.
    return replace(
        plan,
        api=api,
        grace=None,
        idle=chance.one_of(None, None, "5m", "30m"),
        knows_idle=True,
        nested=True,
        outages=0.0 if plan.calm else chance.one_of(0.0, 0.01, 0.03),
        detects_reuse=chance.happens(0.5),
    )


def _draw(chance: Chance) -> Plan:
    calm = chance.happens(0.2)

    def unless_calm(*likelihoods: float) -> float:
        drawn = chance.one_of(*likelihoods)
        return 0.0 if calm else drawn

    lease, quarantines = chance.one_of(None, 60.0), chance.happens(0.7)
    return Plan(
        calm=calm,
        turns=chance.one_of(200, 400),
        callers=chance.one_of(8, 14, 20),
        processes=chance.one_of(1, 1, 2, 2, 3),
        accounts=chance.one_of(1, 1, 1, 2),
        lease=lease,
        quarantines=quarantines,
        fused=lease is not None and chance.happens(0.5),
        losable=quarantines and lease is not None and not calm and chance.happens(0.3),
        grace=chance.one_of(None, None, "30s"),
        ttl=chance.one_of("60s", "60s", "10m", "1h"),
        idle=chance.one_of(None, None, "30m", "2h"),
        knows_idle=chance.happens(0.7),
        duration=chance.one_of("2h", "1d", "30d", "30d"),
        deaf=chance.happens(0.4),
        nested=chance.happens(0.6),
        background=chance.happens(0.7),
        skew=unless_calm(0.0, 0.0, 0.0, 20.0, 300.0, 1_200.0),
        stickiness=chance.one_of(0.0, 0.0, 0.5, 0.8),
        fine=chance.happens(0.5),
        haste=chance.one_of(0.01, 0.03, 0.1),
        calls=chance.one_of(_STEADY, _STEADY, _STEADY, _COMING_AND_GOING),
        bursts=chance.one_of(0.0, 0.2, 0.5),
        drops=chance.one_of(0.0, 0.05, 1.0, 1.0),
        bounded=chance.one_of(0.0, 0.0, 0.3),
        network=unless_calm(0.0, 0.1, 0.3, 0.6),
        store=unless_calm(0.0, 0.0, 0.02, 0.1),
        mood=Mood.WELL if calm else chance.one_of(*(Mood.WELL,) * 7, *Mood, Mood.LATE),
        moods=unless_calm(0.0, 0.0, 0.02, 0.05),
        crash=unless_calm(0.0, 0.0, 0.005, 0.02),
        corruption=unless_calm(0.0, 0.0, 0.0, 0.01),
        setback=unless_calm(0.0, 0.0, 0.0, 0.01),
        trouble=unless_calm(0.0, 0.0, 0.005, 0.02),
        freezes=unless_calm(0.0, 0.0, 0.0, 0.005),
    )
