"""Every operation of the three services: it has a handler, it succeeds, it answers as the model says, and it takes
what its limits allow and no more."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from estate import GOOD, SERVICES, Estate
from model import OPERATIONS, beyond, misfits, placed, sample

from nextpick.api import table


def test_there_are_79_and_each_has_a_handler_and_a_good_request() -> None:
    assert len(OPERATIONS) == 79
    assert {name for service, name in table.implemented() if service in SERVICES} == set(OPERATIONS)
    assert set(GOOD) == set(OPERATIONS)


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_it_succeeds_and_answers_what_the_model_says(estate: Estate, operation: str) -> None:
    bodies: list[bytes] = []

    def keep(http_response: Any, **_: Any) -> None:
        bodies.append(http_response.content)

    request = estate.good(operation)
    if operation == "CreateMetricAttribution":
        estate.make_room()
    for client in estate.clients.values():
        client.meta.events.register("after-call", keep)
    try:
        answer = estate.call(operation, request)
    finally:
        for client in estate.clients.values():
            client.meta.events.unregister("after-call", keep)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    output = OPERATIONS[operation].output_shape
    if output is None:
        assert bodies[-1] in (b"", b"{}")
    else:
        told = json.loads(bodies[-1] or b"{}")
        assert misfits(output, told) == []
        assert bool(told) == bool(output.members)


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_what_is_required_is_asked_for_by_name(estate: Estate, operation: str) -> None:
    shape = OPERATIONS[operation].input_shape
    assert shape is not None
    whole = sample(shape)
    for member in shape.required_members:
        if shape.members[member].serialization.get("location") == "uri":
            continue
        code, message = refused(estate, operation, {n: v for n, v in whole.items() if n != member})
        assert code == "InvalidInputException", (member, message)
        assert member in message


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_each_limit_holds_at_its_edge(estate: Estate, operation: str) -> None:
    shape = OPERATIONS[operation].input_shape
    assert shape is not None
    for path, bad, last_good in beyond(shape):
        code, message = refused(estate, operation, placed(shape, path, bad))
        assert code == "InvalidInputException", (path, bad, code, message)
        if last_good is not None:
            code, message = refused(estate, operation, placed(shape, path, last_good))
            where = next(str(step) for step in reversed(path) if isinstance(step, str))
            assert f"{where}' failed to satisfy constraint" not in message, (path, last_good, message)


def refused(estate: Estate, operation: str, request: dict[str, Any]) -> tuple[str, str]:
    """Return code and message of the error of a request, "" where there is none."""
    try:
        estate.call(operation, request)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return "", ""
