"""nextpick: the open, self-hosted Amazon Personalize.

import nextpick

with nextpick.open("dir") as engine:
    personalize = engine.client("personalize")   # a real boto3 client, no network
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nextpick.library import Library

__version__ = "0.1.0"
__all__ = ["__version__", "open"]


def open(home: Any, **settings: Any) -> "Library":
    """Open a home in this process and return its engine; ``settings`` are fields of ``settings.Settings``.

    Raises supervisor.HomeInUse when a server, or another process, works on that home.
    """
    return import_module("nextpick.library").Library(home, **settings)
