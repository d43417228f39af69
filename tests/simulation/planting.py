"""The list of planted bugs, and how a bug gets into it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from hellojohn._session import storage
from hellojohn._session.record import SessionRecord

BUGS: dict[str, "Bug"] = {}


class Bug(NamedTuple):
    """A bug, and how the simulation shows that it saw this one.

    Attributes:
        plant: Plants it, for as long as this process lives.
        violation: How the violation begins, as a pattern: a rule's number, or words.
        schedule: The directed schedule that leads to it; ``None`` if random ones do.
        api: The dialect in which it shows.
    """

    plant: Callable[[], None]
    violation: str
    schedule: str | None
    api: str


def breaks(
    violation: str, schedule: str | None = None, *, api: str = "v1"
) -> Callable[[Callable[[], None]], None]:
    """Register a bug under the name of its function."""

    def add(plant: Callable[[], None]) -> None:
        BUGS[plant.__name__.strip("_").replace("_", "-")] = Bug(plant, violation, schedule, api)

    return add


def change_records(**changes: Any) -> None:
    """Let every record be written with some fields changed."""
    dump = storage.dump

    def dumping(record: Any) -> Any:
        return dump(record.changed(**changes) if isinstance(record, SessionRecord) else record)

    storage.dump = dumping
