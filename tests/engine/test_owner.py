"""Owner threads: what they keep, and what they let go."""

import weakref

from hellojohn._owner import Owner

from tests.engine.rig import until


class _Session:
    def use(self) -> None:
        """Do nothing that would keep it."""


def test_a_thread_at_rest_forgets_what_it_worked_on():
    """A session that nobody holds any more is read from the store anew: somebody may have ended it there."""
    owner, session = Owner(), _Session()
    seen = weakref.ref(session)
    owner.run(session.use).result()
    del session
    until(lambda: owner._resting)
    assert seen() is None
