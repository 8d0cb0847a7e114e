"""Calls of AWS operations from state machines: ``arn:aws:states:::aws-sdk:personalize:createSolution``.

Parameters come in PascalCase or in the case of the API, and results go out in PascalCase; booleans and numbers may
be texts.
Source: Developer Guide, "AWS SDK service integrations".
"""

import base64
import json
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ParamValidationError

from nextpick.workflow.asl.failure import StateFailed
from nextpick.workflow.refusal import code_of, message_of
from nextpick.workflow.tasks import repeats
from nextpick.workflow.tasks.integration import Ask
from nextpick.workflow.tasks.names import SERVICES
from nextpick.workflow.timing import time_text

_PATIENCE_S = 60.0  # how long a server may be away
_PAUSE_S = 1.0
_NUMBERS: dict[str, Callable[[str], Any]] = {"integer": int, "long": int, "float": float, "double": float}

ClientOf = Callable[[str, str], Any]
"""Takes the name of a service and the ARN of a role, returns a boto3 client that acts as that role."""


def snake(action: str) -> str:
    """Return boto3's name of an operation: ``createDatasetGroup`` is ``create_dataset_group``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", action).lower()


def call(client_of: ClientOf, service: str, action: str, ask: Ask) -> Any:
    """Call an operation and return its answer. Raises StateFailed under the error's name, ``Personalize.…Exception``.

    A call that may have been made already is looked for before it is made again.
    """
    name, prefix = SERVICES[service]
    client = client_of(name, ask.role)
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[snake(action)])
    try:
        parameters = _into(model.input_shape, ask.parameters) if model.input_shape else {}
    except ValueError as error:
        raise StateFailed("States.Runtime", f"The parameters of {action} cannot be read: {error}") from None
    parameters = repeats.named(model.name, parameters, ask)
    is_repeated, deadline = ask.is_resumed, time.monotonic() + _PATIENCE_S
    while True:
        try:
            found = repeats.find(client, model.name, parameters, ask) if is_repeated else None
            answer = getattr(client, snake(action))(**parameters) if found is None else found
            break
        except repeats.Unknown as error:
            raise StateFailed(f"{prefix}.Unknown", str(error)) from None
        except ClientError as error:
            raise _failure(error, prefix) from None
        except ParamValidationError as error:
            raise StateFailed(f"{prefix}.ValidationException", str(error)) from None
        except HTTPClientError as error:  # whether it arrived is not known
            if time.monotonic() >= deadline:
                raise StateFailed(f"{prefix}.SdkClientException", str(error)) from None
            is_repeated = True
            time.sleep(_PAUSE_S)
        except BotoCoreError as error:
            raise StateFailed(f"{prefix}.SdkClientException", str(error)) from None
    answer.pop("ResponseMetadata", None)
    return _out(model.output_shape, answer)


def _failure(error: ClientError, prefix: str) -> StateFailed:
    code = code_of(error)
    if not re.fullmatch(r"[A-Za-z]+", code):
        code = f"{prefix}Exception"
    if not code.endswith("Exception"):
        code += "Exception"
    answer = error.response.get("ResponseMetadata", {})
    request, status = answer.get("RequestId", ""), answer.get("HTTPStatusCode", "")
    cause = f"{message_of(error)} (Service: {prefix}, Status Code: {status}, Request ID: {request})"
    return StateFailed(f"{prefix}.{code}", cause)


def _into(shape: Any, value: Any) -> Any:
    """Return parameters as the model has them. Raises ValueError."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        members = {name.lower(): name for name in shape.members}
        unknown = [name for name in value if name.lower() not in members]
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is not a parameter of {shape.name}")
        named = {members[name.lower()]: inner for name, inner in value.items() if inner is not None}
        return {name: _into(shape.members[name], inner) for name, inner in named.items()}
    if kind == "list" and isinstance(value, list):
        return [_into(shape.member, inner) for inner in value]
    if kind == "map" and isinstance(value, dict):
        return {name: _into(shape.value, inner) for name, inner in value.items()}
    if kind == "boolean" and value in ("true", "false", "True", "False"):
        return value.lower() == "true"
    if kind in _NUMBERS and isinstance(value, str):
        return _NUMBERS[kind](value)
    if kind == "string" and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if kind == "blob" and not isinstance(value, str):
        return json.dumps(value)
    if shape.name == "message" and not isinstance(value, str):  # of a topic, as sns:publish takes it
        return json.dumps(value)
    return value


def _out(shape: Any, value: Any) -> Any:
    """Return an answer as state machines see it."""
    if shape is None:
        return {}
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        known = {name: inner for name, inner in value.items() if name in shape.members}
        return {
            name[:1].upper() + name[1:]: _out(shape.members[name], inner) for name, inner in known.items()
        }
    if kind == "list":
        return [_out(shape.member, inner) for inner in value]
    if kind == "map":
        return {name: _out(shape.value, inner) for name, inner in value.items()}
    if isinstance(value, datetime):
        return time_text(value.timestamp())
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return value
