"""Routes that are counted, and routes that are held to the rates of Amazon Personalize.

Source: developer guide, "Endpoints and quotas".
"""

import inspect
from typing import Any

from nextpick.clock import Clock
from nextpick.errors import Throttling
from nextpick.store.rates import Rates
from nextpick.store.usage import UsageCounter
from nextpick.wire.dispatch import Call, Route

_RECOMMENDING = ("GetRecommendations", "GetPersonalizedRanking", "GetActionRecommendations")
_PER_CAMPAIGN, _PER_ACCOUNT = 500, 2500
_PER_OPERATION = {
    "PutEvents": 1000,
    "PutActionInteractions": 1000,
    "PutItems": 10,
    "PutUsers": 10,
    "PutActions": 10,
}


def counted(usage: UsageCounter, operation: str, route: Route) -> Route:
    """Return a route whose answers are counted for the campaign or recommender that gives them."""
    if operation not in _RECOMMENDING:
        return route
    handler, count = route.handler, usage.count

    def handle(call: Call, request: Any) -> Any:
        answer = handler(call, request)
        if type(answer) is bytes:
            count(request.campaignArn or request.recommenderArn)
            return answer
        if inspect.iscoroutine(answer):
            answer.close()  # it has not begun, and what stands for it may not be waited for either
        return wait(call, request)

    async def wait(call: Call, request: Any) -> Any:
        answer = handler(call, request)
        if inspect.isawaitable(answer):
            answer = await answer
        count(request.campaignArn or request.recommenderArn)
        return answer

    return route._replace(handler=handle)


def throttled(rates: Rates, clock: Clock, operation: str, route: Route) -> Route:
    """Return a route that raises Throttling beyond the rates of its operation, in any of the processes."""
    if operation not in _RECOMMENDING and operation not in _PER_OPERATION:
        return route
    handler = route.handler

    def check(call: Call, request: Any) -> None:
        owner, second = f"{call.account} {call.region}", int(clock.now())
        if operation in _PER_OPERATION:
            limits = {f"{owner} {operation}": _PER_OPERATION[operation]}
        else:
            arn = getattr(request, "campaignArn", None) or getattr(request, "recommenderArn", None)
            limits = {f"{arn} {operation}": _PER_CAMPAIGN, f"{owner} runtime": _PER_ACCOUNT}
        for key, most in limits.items():
            if not rates.take(key, most, second):
                raise Throttling(f"Rate exceeded: {operation} may be called {most} times a second.")

    if inspect.iscoroutinefunction(handler):

        async def wait(call: Call, request: Any) -> Any:
            check(call, request)
            return await handler(call, request)

        return route._replace(handler=wait)

    def handle(call: Call, request: Any) -> Any:
        check(call, request)
        return handler(call, request)

    return route._replace(handler=handle)
