"""The fast decoders against the validator, which is the truth."""

import typing

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpick.errors import ServiceError
from nextpick.wire import structs
from nextpick.wire.body import decode
from nextpick.wire.shapes import service, validate

HOT = {
    ("personalize-runtime", "GetRecommendations"): structs.GetRecommendations,
    ("personalize-runtime", "GetPersonalizedRanking"): structs.GetPersonalizedRanking,
    ("personalize-events", "PutEvents"): structs.PutEvents,
}


def slow(key, struct, body):
    """Return what the validator makes of a body, as the struct, or None where it refuses."""
    try:
        return msgspec.convert(validate(*key, decode(body)), struct)
    except ServiceError:
        return None


def fast(struct, body):
    try:
        return msgspec.json.decode(body, type=struct)
    except (ValueError, RecursionError):
        return None


EDGES = st.sampled_from(
    [
        None, True, "true", 0, 1, -1, 2, 100, 101, 2**31 - 1, 2**31, 10**30, 0.5, 5.0, 1e13, "", "5", "NaN",
        "a", "a b", "é", "a" * 50, "a" * 51, "a" * 63, "a" * 64, "x" * 256, "x" * 257, "y" * 1024, "y" * 1025,
        "arn:aws:personalize:r:a:campaign/c", "arn:aws:personalize:r:a:campaign/c\n",
        "arn:aws:personalize:::", "-x", "2023-10-31T00:11:50Z", [], {}, ["a"], [None], ["a"] * 26,
        {"a": "b"}, {"a b": "c"}, {"ITEMS": ["A"]}, {"a": None},
        {"ITEMS": ["A"] * 100}, {"A": ["x"], "B": ["y"]}, {str(i): "x" for i in range(26)},
        {"eventAttributionSource": "s"}, {"eventAttributionSource": " "}, {}, {"unknown": 1},
    ]
)  # fmt: skip


def requests(model, name, depth=0):
    """Return requests of a shape: mostly valid, now and then with an edge in place of a member."""
    shape = model.shapes[name]
    kind = shape["type"]
    if kind == "structure":
        members = {
            member: st.one_of(requests(model, reference["shape"], depth + 1), EDGES)
            if depth < 2
            else requests(model, reference["shape"], depth + 1)
            for member, reference in shape["members"].items()
        }
        required = {member: members.pop(member) for member in shape.get("required", ())}
        return st.fixed_dictionaries(required, optional=members)
    if kind == "list":
        return st.lists(requests(model, shape["member"]["shape"], depth + 1), max_size=3)
    if kind == "map":
        key, value = (requests(model, shape[part]["shape"], depth + 1) for part in ("key", "value"))
        return st.dictionaries(key, value, max_size=2)
    if kind in ("integer", "timestamp"):
        return st.integers(0, 100)
    if kind in ("float", "double"):
        return st.floats(0, 1)
    if "personalize" in shape.get("pattern", ""):
        return st.just("arn:aws:personalize:eu-west-1:123456789012:campaign/c")
    return st.text("abc_", min_size=1, max_size=5)


@pytest.mark.parametrize("key", HOT, ids=lambda key: key[1])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_fast_decoder_takes_nothing_the_validator_refuses_and_reads_the_same(key, data):
    model = service(key[0])
    request = data.draw(requests(model, model.operations[key[1]].input))
    body = msgspec.json.encode(request)
    struct = HOT[key]
    quick, thorough = fast(struct, body), slow(key, struct, body)
    if quick is not None:
        assert thorough == quick
    if thorough is None:
        assert quick is None


@pytest.mark.parametrize("key", HOT, ids=lambda key: key[1])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_valid_request_takes_the_fast_way(key, data):
    model = service(key[0])
    request = data.draw(requests(model, model.operations[key[1]].input, depth=9))
    struct = HOT[key]
    body = msgspec.json.encode(request)
    assert (fast(struct, body) is None) == (slow(key, struct, body) is None)


def limits(annotation):
    """Return all ``msgspec.Meta`` of an annotation, through unions, lists and dicts."""
    found = list(getattr(annotation, "__metadata__", ()))
    for inner in typing.get_args(annotation):
        if not isinstance(inner, msgspec.Meta):
            found += limits(inner)
    return found


@pytest.mark.parametrize("key", HOT, ids=lambda key: key[1])
def test_the_structs_have_the_members_of_the_model(key):
    model = service(key[0])

    def compare(struct, shape_name):
        shape = model.shapes[shape_name]
        fields = {field.name: field for field in msgspec.structs.fields(struct)}
        assert set(fields) == set(shape["members"])
        assert {name for name, field in fields.items() if field.required} == set(shape.get("required", ()))
        for name, field in fields.items():
            member = model.shapes[shape["members"][name]["shape"]]
            inner = model.shapes[member["member"]["shape"]] if member["type"] == "list" else member
            nested = [
                arg for arg in walk(field.type) if isinstance(arg, type) and issubclass(arg, msgspec.Struct)
            ]
            if inner["type"] == "structure":
                compare(
                    nested[0],
                    member["member"]["shape"]
                    if member["type"] == "list"
                    else shape["members"][name]["shape"],
                )
            if "max" in member and member["type"] in ("string", "list", "map"):
                assert any(meta.max_length == member["max"] for meta in limits(field.type))

    compare(HOT[key], model.operations[key[1]].input)


def walk(annotation):
    yield annotation
    for inner in typing.get_args(annotation):
        yield from walk(inner)


def test_a_time_that_is_null_is_left_to_the_handler():
    body = b'{"trackingId":"t","sessionId":"s","eventList":[{"eventType":"click","sentAt":null}]}'
    request = fast(structs.PutEvents, body)
    assert request is not None
    assert request.eventList[0].sentAt is None
    assert (
        slow(("personalize-events", "PutEvents"), structs.PutEvents, body.replace(b"null", b"NaN")) == request
    )
