"""The table that the handlers of a service enter themselves into."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

Context = TypeVar("Context")
Answer = TypeVar("Answer")


class Handlers(dict[str, Callable[[Context, Any], Answer]], Generic[Context, Answer]):
    """Handlers of one service by operation."""

    def operation(
        self, name: str
    ) -> Callable[[Callable[[Context, Any], Answer]], Callable[[Context, Any], Answer]]:
        """Enter a function as the handler of an operation; raises ValueError for a second one."""

        def enter(handler: Callable[[Context, Any], Answer]) -> Callable[[Context, Any], Answer]:
            if name in self:
                raise ValueError(f"{name} has two handlers")
            self[name] = handler
            return handler

        return enter
