"""The error that a handler raises to refuse a request.

Each API has a subclass with its own table of codes. This module imports nothing of the package.
"""


class ApiProblem(Exception):
    """The service refuses a request.

    Attributes:
        code: The error code that clients branch on.
        status: The HTTP status.
        message: One sentence for people.
        details: Further fields of the error, such as a challenge's id.
    """

    def __init__(self, code: str, message: str, *, status: int, **details: object) -> None:
        """Keep the parts of the error answer."""
        self.code = code
        self.status = status
        self.message = message
        self.details = details
        super().__init__(message)
