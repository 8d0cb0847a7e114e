"""The workflow service of a home: executions, schedules, triggers, in the process of the services
(``automation``)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from nextpick.workflow.database import Database
from nextpick.workflow.firing import Firings
from nextpick.workflow.preparation import Finder, Preparations
from nextpick.workflow.roles import Roles
from nextpick.workflow.runner import Runner
from nextpick.workflow.schedules import Schedules
from nextpick.workflow.tasks import resources
from nextpick.workflow.tasks.functions import Functions, deployed
from nextpick.workflow.watching import Watching

if TYPE_CHECKING:
    from nextpick.automation import Context

_THREADS = 32


class Workflow:
    """Everything that goes on by itself. ``functions`` and ``finders`` stand in for what is not installed."""

    def __init__(
        self, context: "Context", functions: Functions | None = None, finders: tuple[Finder, ...] = ()
    ) -> None:
        self.database = Database(context.settings.home)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="nextpick-tasks")
        self._ending = threading.Event()
        clock = context.clock
        self.preparations = Preparations(self.database, context.client, clock, finders)
        self._functions = functions
        roles = Roles(context.client, context.records)

        def find_task(resource: str, region: str) -> Any:
            means = resources.Means(
                context.settings.home,
                roles.client_of,
                self._handlers,
                self.preparations,
                self._pool,
                region,
                self._ending.is_set,
            )
            return resources.find(means, resource)

        self.runner = Runner(self.database, clock, find_task)
        self.firings = Firings(self.database, context, self._handlers)
        settings = context.settings
        self.schedules = Schedules(self.database, clock, settings.region, settings.account)
        self.watching = Watching(self.database, context)
        self._loops = [self.schedules, self.watching, self.firings]

    def _handlers(self) -> Functions:
        return self._functions or deployed()

    def start(self) -> None:
        """Take up what had begun, and begin what is due."""
        self.preparations.resume()
        self.runner.start()
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        """End; what had begun is taken up at the next start."""
        self._ending.set()
        for loop in self._loops:
            loop.stop()
        self.runner.stop()
        self.preparations.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.database.close()


def start(context: "Context") -> Workflow:
    """Start the service of a home."""
    service = Workflow(context)
    service.start()
    return service
