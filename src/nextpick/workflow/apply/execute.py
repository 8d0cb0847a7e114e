"""Doing what is planned: each step as soon as those it needs are done, several at a time."""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from botocore.exceptions import ClientError

from nextpick.workflow.apply.plan import Planned
from nextpick.workflow.apply.step import Step
from nextpick.workflow.apply.world import Failed
from nextpick.workflow.refusal import code_of, message_of

Report = Callable[[Step, str, str], None]
"""Is told of a step: "begun", "done", "failed", "skipped", and more in words."""

_AT_ONCE = 8


def execute(planned: list[Planned], report: Report) -> None:
    """Do all that is planned; what does not need what failed is done all the same. Raises Failed with all reasons."""
    left = {one.step.key: one for one in planned}
    known = set(left)
    done: set[str] = set()
    broken: set[str] = set()
    problems: list[str] = []
    running: dict[Future[None], Planned] = {}
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="nextpick-apply") as pool:
        while left or running:
            for key, one in list(left.items()):
                needs = known.intersection(one.step.needs)
                if any(need in broken for need in needs):
                    del left[key]
                    broken.add(key)
                    report(one.step, "skipped", "something it needs failed")
                elif all(need in done for need in needs):
                    del left[key]
                    if one.decision.changes:
                        report(one.step, "begun", one.decision.verb)
                        running[pool.submit(one.step.act, one.decision)] = one
                    else:
                        done.add(key)
            if not running:
                continue
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                one = running.pop(future)
                try:
                    future.result()
                except (Failed, ClientError) as error:
                    told = (
                        f"{code_of(error)}: {message_of(error)}"
                        if isinstance(error, ClientError)
                        else str(error)
                    )
                    problems.append(f"{one.step.title}: {told}")
                    broken.add(one.step.key)
                    report(one.step, "failed", told)
                else:
                    done.add(one.step.key)
                    report(one.step, "done", one.decision.verb)
    if problems:
        raise Failed("\n".join(problems))
