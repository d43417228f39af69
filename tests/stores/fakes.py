"""A Redis client and a clock for the tests of stores."""

from collections.abc import Callable


class FakeClient:
    """A client that answers by itself first, and then passes commands on to another client.

    Attributes:
        commands: The commands that it was asked to send, each with its arguments.
    """

    def __init__(
        self, *answers: object, behind: object = None, after: Callable[[tuple], None] | None = None
    ) -> None:
        """Make a client.

        Args:
            answers: The answers to the first commands; an exception is raised.
            behind: The client that later commands go to.
            after: Called with each command that was passed on. It may raise, which loses the answer.
        """
        self.answers = list(answers)
        self.behind = behind
        self.after = after
        self.commands: list[tuple] = []

    def execute_command(self, *args, **options):
        """Answer, or pass the command on."""
        self.commands.append(args)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        answer = self.behind.execute_command(*args, **options)
        if self.after is not None:
            self.after(args)
        return answer


class Clock:
    """Stands for the module ``time``: sleeping moves it.

    Attributes:
        now: The time in seconds.
        looks: How often the time was read.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.looks = 0

    def monotonic(self) -> float:
        """Return the time."""
        self.looks += 1
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.now += seconds
