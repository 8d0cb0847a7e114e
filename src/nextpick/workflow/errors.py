"""What Step Functions refuses, by its names. Source: AWS Step Functions API Reference."""

from nextpick.errors import ServiceError


class _Plain(ServiceError):
    """An error whose code is its class's name."""

    def __init_subclass__(cls) -> None:
        cls.code = cls.__name__


class InvalidArn(_Plain):
    """The provided Amazon Resource Name (ARN) is not valid."""


class InvalidDefinition(_Plain):
    """The provided Amazon States Language definition is not valid."""


class InvalidName(_Plain):
    """The provided name is not valid."""


class InvalidToken(_Plain):
    """The provided token is not valid."""


class InvalidExecutionInput(_Plain):
    """The provided JSON input data is not valid."""


class StateMachineAlreadyExists(_Plain):
    """A state machine with the same name but a different definition or role ARN already exists."""


class StateMachineDoesNotExist(_Plain):
    """The specified state machine does not exist."""


class ExecutionAlreadyExists(_Plain):
    """The execution has the same name as another execution (but a different input)."""


class ExecutionDoesNotExist(_Plain):
    """The specified execution does not exist."""


class MissingRequiredParameter(_Plain):
    """Request is missing a required parameter."""
