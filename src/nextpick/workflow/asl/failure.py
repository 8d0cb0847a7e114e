"""How states fail, by the names that Retry and Catch match.

Source: Amazon States Language, "Errors" and appendix A, "Predefined error codes"; Developer Guide, "Handling errors".
"""

ALL = "States.ALL"
TASK_FAILED = "States.TaskFailed"
TIMEOUT = "States.Timeout"
RUNTIME = "States.Runtime"
DATA_LIMIT = "States.DataLimitExceeded"

_UNCAUGHT = (RUNTIME, DATA_LIMIT)  # States.ALL does not match these


class StateFailed(Exception):
    """A state failed: ``error`` is the name, ``cause`` says why, ``at`` when (seconds since 1970; None: at entry)."""

    def __init__(self, error: str, cause: str = "", at: float | None = None) -> None:
        super().__init__(f"{error}: {cause}" if cause else error)
        self.error, self.cause, self.at = error, cause, at
        self.last = 0  # the id of the event before the end of the execution

    def is_any_of(self, names: list[str]) -> bool:
        """Tell whether a Retry or Catch with these names in ErrorEquals is about this failure."""
        for name in names:
            if name == self.error:
                return True
            if name == ALL and self.error not in _UNCAUGHT:
                return True
            if name == TASK_FAILED and self.error not in (TIMEOUT, "States.HeartbeatTimeout", *_UNCAUGHT):
                return True
            if name == TIMEOUT and self.error == "States.HeartbeatTimeout":
                return True
        return False
