"""Direct integrations: recommendations and rankings, from the engine without a function in between."""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from nextpick.errors import ServiceError
from nextpick.gateway.document import Api
from nextpick.gateway.door import Door
from nextpick.gateway.experiments import Experiment, experiment
from nextpick.gateway.freshness import Freshness
from nextpick.gateway.integrate import Integration
from nextpick.gateway.itemfile import ItemFile
from nextpick.gateway.mapping import Source, constant_or_source, is_source, with_variables
from nextpick.gateway.messages import Header, Reply, Request, Waits
from nextpick.wire.body import decode
from nextpick.wire.shapes import validate
from nextpick.wire.structs import GetPersonalizedRanking, GetRecommendations

_SERVICE = "personalize-runtime"
_NEWEST = "newest"
_RESPONSES = ("answer", "items", "ids", "sdk")
_MEMBERS = {
    "recommendations": {
        *("campaignArn", "recommenderArn", "userId", "itemId", "numResults", "context", "filterArn"),
        *("filterValues", "metadataColumns"),
    },
    "personalized-ranking": {
        *("campaignArn", "userId", "inputList", "context", "filterArn", "filterValues", "metadataColumns"),
    },
}
_OTHERS = {"type", "experiment", "response", "errors", "cache", "items"}
_STATUS = {"ResourceNotFoundException": 404, "ServiceUnavailable": 503, "ThrottlingException": 429}
_JSON = ("content-type", "application/json")
_encode = msgspec.json.Encoder().encode


class _Items(msgspec.Struct):
    """An answer of the runtime, its items as they are on the wire."""

    itemList: msgspec.Raw = msgspec.Raw(b"")  # noqa: N815
    personalizedRanking: msgspec.Raw = msgspec.Raw(b"[]")  # noqa: N815

    @property
    def items(self) -> bytes:
        return bytes(self.itemList) or bytes(self.personalizedRanking)


_read = msgspec.json.Decoder(_Items).decode


class _Told(NamedTuple):
    """How errors are told: status by code, and what is said."""

    errors: Mapping[str, dict[str, Any]]

    def reply(self, error: ServiceError) -> Reply:
        rule = self.errors.get(error.code) or self.errors.get("default") or {}
        status = int(rule.get("statusCode", _STATUS.get(error.code, error.status)))
        told = {"message": rule.get("message", error.message)}
        return Reply(status, msgspec.json.encode(told).replace(b'":"', b'": "', 1), (_JSON,))


def recommending(api: Api, declared: dict[str, Any], variables: Mapping[str, str], door: Door) -> Integration:
    """Return a direct integration of type recommendations or personalized-ranking. Raises ValueError."""
    kind = declared["type"]
    members = _MEMBERS[kind]
    unknown = set(declared) - members - _OTHERS
    if unknown:
        raise ValueError(f"an integration of type {kind} has no {', '.join(sorted(unknown))}")
    operation = "GetRecommendations" if kind == "recommendations" else "GetPersonalizedRanking"
    struct = GetRecommendations if kind == "recommendations" else GetPersonalizedRanking
    sources = [(name, _source(name, declared[name], variables)) for name in members if name in declared]
    split = experiment(api, declared["experiment"], variables) if "experiment" in declared else None
    if not split and not {"campaignArn", "recommenderArn"} & set(declared):
        raise ValueError("an integration needs campaignArn, recommenderArn or experiment")
    newest = declared.get("campaignArn") == _NEWEST
    told = _Told(declared.get("errors", {}))
    shape = _shape(declared.get("response", "answer"))
    item_file = ItemFile(declared["items"], door) if "items" in declared else None
    freshness = Freshness(declared["cache"], door.clock) if "cache" in declared else None

    def ask(request: Request) -> tuple[bytes | Awaitable[bytes], tuple[Header, ...]]:
        wanted: dict[str, Any] = {}
        for name, read in sources:
            value = read(request)
            if value is not None:
                wanted[name] = value
        headers: tuple[Header, ...] = ()
        if newest:
            campaign = door.newest_campaign()
            if campaign is None:
                raise _NoCampaign
            wanted["campaignArn"] = campaign
        elif split is not None:
            headers = _assign(split, wanted, request)
        try:
            asked = msgspec.convert(wanted, struct)
        except msgspec.ValidationError:
            asked = msgspec.convert(validate(_SERVICE, operation, wanted), struct)  # which says what is wrong
        return door.recommend(operation, asked), headers

    def finish(request: Request, answer: bytes, headers: tuple[Header, ...]) -> Reply:
        if item_file is not None:
            answer = item_file.decorate(answer)
        body = shape(answer, request)
        if freshness is not None:
            headers = (*headers, *freshness.headers(body, _read(answer).items))
        return Reply(200, body, (_JSON, *headers))

    async def wait(request: Request, pending: Awaitable[bytes], headers: tuple[Header, ...]) -> Reply:
        try:
            answer = await pending
        except ServiceError as error:
            return told.reply(error)
        if item_file is not None:
            await item_file.load()
        return finish(request, answer, headers)

    async def given(answer: bytes) -> bytes:
        return answer

    def integrate(request: Request) -> Reply | Awaitable[Reply]:
        if freshness is not None and (kept := freshness.unchanged(request)):
            return kept
        try:
            answer, headers = ask(request)
        except ServiceError as error:
            return told.reply(error)
        if inspect.isawaitable(answer):
            if request.is_quick:
                if inspect.iscoroutine(answer):
                    answer.close()
                raise Waits
            return wait(request, answer, headers)
        if item_file is not None and item_file.is_due():
            if request.is_quick:
                raise Waits
            return wait(request, given(answer), headers)  # type: ignore[arg-type]
        return finish(request, answer, headers)  # type: ignore[arg-type]

    return integrate


class _NoCampaignYet(ServiceError):
    """There is no ACTIVE user-personalization campaign yet."""

    status = 404
    code = "NoCampaignYet"


_NoCampaign = _NoCampaignYet()


def _assign(split: Experiment, wanted: dict[str, Any], request: Request) -> tuple[Header, ...]:
    variation = split.of(str(wanted.get("userId", "")))
    wanted["campaignArn"] = variation.campaign
    request.noted["variation"] = f"{split.name}:{variation.name}"
    return (("x-nextpick-variation", f"{split.name}:{variation.name}"),)


def _source(name: str, given: Any, variables: Mapping[str, str]) -> Source:
    """Return what gives a member of the request: texts trimmed, empty ones left out, numbers and lists read."""
    if isinstance(given, dict):
        inner = {key: constant_or_source(value) for key, value in given.items()}

        def members(request: Request) -> dict[str, Any] | None:
            found = {key: read(request) for key, read in inner.items()}
            return {k: v for k, v in found.items() if v not in (None, "")} or None

        return members
    if isinstance(given, str) and not is_source(given):
        given = with_variables(given, variables)
    read = constant_or_source(given)
    convert = {"numResults": _number, "inputList": _list}.get(name, _trimmed)
    return lambda request: convert(read(request))


def _trimmed(value: Any) -> Any:
    return value.strip() or None if isinstance(value, str) else value


def _number(value: Any) -> Any:
    """Return a number that was asked for; what is no whole number is left out, which means the default."""
    if isinstance(value, str):
        return int(value) if re.fullmatch("-?[0-9]{1,8}", value) else None
    return value


def _list(value: Any) -> Any:
    """Return a list of ids: as it is, from a JSON array, or from texts joined by commas."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = decode(value.encode())
    if isinstance(value, str):
        return [part for part in (part.strip() for part in value.split(",")) if part]
    return [str(item) for item in value] if isinstance(value, list) else value


def _shape(name: str) -> Callable[[bytes, Request], bytes]:
    """Return what makes the body: the answer as it is, its items alone, their ids alone, or as AWS's SDKs print it."""
    if name not in _RESPONSES:
        raise ValueError(f"response is {name!r}; it is one of {', '.join(_RESPONSES)}")
    if name == "answer":
        return lambda answer, request: answer
    if name == "items":
        return lambda answer, request: _read(answer).items
    if name == "ids":
        return lambda answer, request: _encode(
            [item["itemId"] for item in msgspec.json.decode(_read(answer).items)]
        )

    def sdk(answer: bytes, request: Request) -> bytes:
        metadata = {"httpStatusCode": 200, "requestId": request.id, "attempts": 1, "totalRetryDelay": 0}
        return b'{"$metadata":%b,%b' % (_encode(metadata), answer[1:])

    return sdk
