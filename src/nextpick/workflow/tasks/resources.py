"""The integrations behind the Resources that state machines name."""

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from nextpick.workflow.preparation import Preparations
from nextpick.workflow.tasks import calls, functions, glue
from nextpick.workflow.tasks.functions import Functions
from nextpick.workflow.tasks.integration import FUNCTION, Ask, Integration
from nextpick.workflow.tasks.names import FUNCTION_ARN, STATES_ARN


class Means(NamedTuple):
    """What tasks work with. ``is_ending``: whether those that wait should give up."""

    home: Path
    client_of: calls.ClientOf
    functions: Callable[[], Functions]
    preparations: Preparations
    pool: Executor
    region: str
    is_ending: Callable[[], bool]


def find(means: Means, resource: str) -> Integration:
    """Return the integration of a Resource that has no ``problem``."""

    def integration(perform: Callable[[Ask], Any], service: str, action: str, **more: Any) -> Integration:
        return Integration(perform, means.pool, service, action, means.region, resource, **more)

    if FUNCTION_ARN.fullmatch(resource):
        plainly = lambda ask: functions.invoke_plainly(means.functions(), means.home, resource, ask)  # noqa: E731
        return integration(plainly, "lambda", "invoke", events=FUNCTION)
    match = STATES_ARN.fullmatch(resource)
    assert match is not None
    service, _, action = match["rest"].removeprefix("aws-sdk:").partition(":")
    told = f"aws-sdk:{service}" if match["rest"].startswith("aws-sdk:") else service
    if match["rest"] == "lambda:invoke":
        invoke = lambda ask: functions.invoke(means.functions(), means.home, ask)  # noqa: E731
        return integration(invoke, told, action)
    if service == "glue":
        perform = {
            "startJobRun": partial(glue.start_job_run, means.preparations),
            "startJobRun.sync": partial(glue.run_job, means.preparations, means.is_ending),
            "getJobRun": partial(glue.get_job_run, means.preparations),
        }[action]
        return integration(perform, told, action)
    return integration(partial(calls.call, means.client_of, service, action), told, action)
