"""The functions that an API calls, and the permission to do so, which goes with its deployment.

Source: API Gateway developer guide, "Set up Lambda proxy integrations", on the permission that the console adds;
Lambda developer guide, "Granting function access to AWS services".
"""

import re
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from nextpick.functions.registry import Function, Reference, Registry
from nextpick.gateway import document
from nextpick.gateway.functions import function_of
from nextpick.gateway.store import StageRow

_PARAMETER = re.compile(r"\{[^}]*\}")


class Trigger(NamedTuple):
    """One method of a stage, and the function that it calls; "" for no qualifier."""

    verb: str
    resource: str
    function: str
    qualifier: str


def triggers_of(stage: StageRow, held: dict[str, Any]) -> Iterator[Trigger]:
    """Yield the methods of a deployed document that call functions."""
    api = document.read(held, stage.settings.get("functionType") or None)
    for method in api.methods:
        if not method.is_direct and ":lambda:path/" in document.uri_of(method.integration):
            name, qualifier = function_of(method.integration, stage.variables)
            yield Trigger(method.verb, method.resource, name, qualifier or "")


def permit(home: Path, stage: StageRow, held: dict[str, Any]) -> None:
    """Let a stage's methods invoke their functions: a statement in each function's policy, unless it has it.

    A function that is not deployed yet gets none; the gateway calls it all the same, as the operator.
    """
    registry = Registry(home)
    for trigger in triggers_of(stage, held):
        with registry.changing():
            function = registry.find(Reference(trigger.function, stage.account, stage.region))
            if function is None:
                continue
            made = _statement(function, stage, trigger)
            if made not in function.statements:
                statements = [*function.statements, made]
                registry.put(msgspec.structs.replace(function, statements=statements))


def forbid(home: Path, api: str) -> None:
    """Take the statements of an API out of all functions' policies."""
    registry = Registry(home)
    for function in registry.list():
        with registry.changing():
            found = registry.get(function.account, function.region, function.name)
            if found is None:
                continue
            kept = [each for each in found.statements if not each["Sid"].startswith(_prefix(api))]
            if len(kept) < len(found.statements):
                registry.put(msgspec.structs.replace(found, statements=kept))


def _statement(function: Function, stage: StageRow, trigger: Trigger) -> dict[str, Any]:
    verb = "*" if trigger.verb == "ANY" else trigger.verb
    path = f"{verb}{_PARAMETER.sub('*', trigger.resource)}"
    called = f"{function.arn}:{trigger.qualifier}" if trigger.qualifier else function.arn
    source = f"arn:aws:execute-api:{stage.region}:{stage.account}:{stage.api}/*/{path}"
    return {
        "Sid": f"{_prefix(stage.api)}{blake2b(f'{path} {called}'.encode(), digest_size=6).hexdigest()}",
        "Effect": "Allow",
        "Principal": {"Service": "apigateway.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": called,
        "Condition": {"ArnLike": {"AWS:SourceArn": source}},
    }


def _prefix(api: str) -> str:
    return f"apigateway-{api}-"
