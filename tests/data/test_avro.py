"""Schemas: what is accepted, what is refused and how the refusal names the field."""

import json

import pytest

from nextpick.data.avro import check_schema, parse_schema
from nextpick.errors import InvalidInput


def text(name="Interactions", fields=None, **more):
    if fields is None:
        fields = [("USER_ID", "string"), ("ITEM_ID", "string"), ("TIMESTAMP", "long")]
    made = [
        f if isinstance(f, dict) else {"name": f[0], "type": f[1], **(f[2] if len(f) > 2 else {})}
        for f in fields
    ]
    return json.dumps({"type": "record", "name": name, "fields": made, **more})


CATEGORICAL = {"categorical": True}
TEXTUAL = {"textual": True}
BASE = [("USER_ID", "string"), ("ITEM_ID", "string"), ("TIMESTAMP", "long")]


def test_the_schema_of_the_guide_is_read():
    schema = parse_schema(
        text(
            fields=[*BASE, ("EVENT_TYPE", "string"), ("EVENT_VALUE", ["float", "null"])],
            namespace="com.amazonaws.personalize.schema",
            version="1.0",
        )
    )
    assert [f.name for f in schema.fields] == ["USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE", "EVENT_VALUE"]
    value = schema.field("EVENT_VALUE")
    assert value is not None
    assert (value.type, value.nullable) == ("float", True)
    assert schema.field("NONE") is None


@pytest.mark.parametrize(
    "more", [{}, {"version": 1}, {"version": "1.0"}, {"version": "1.1"}, {"namespace": "x.y"}]
)
def test_version_is_a_string_a_number_or_absent(more):
    parse_schema(text(**more))


@pytest.mark.parametrize("type_", ["string", ["string"], ["null", "string"], ["string", "null"]])
def test_a_type_may_be_a_union_with_null_in_any_order(type_):
    schema = parse_schema(text("Items", [("ITEM_ID", "string"), ("GENRES", type_, CATEGORICAL)]))
    field = schema.fields[1]
    assert (field.type, field.nullable, field.categorical) == ("string", "null" in type_, True)


@pytest.mark.parametrize("name", ["Interactions", "interactions", "INTERACTIONS"])
def test_a_record_named_after_a_dataset_type_is_checked_at_once(name):
    with pytest.raises(InvalidInput, match="TIMESTAMP"):
        parse_schema(text(name, BASE[:2]))


@pytest.mark.parametrize(
    ("name", "fields", "missing"),
    [
        ("Items", [("GENRES", "string", CATEGORICAL)], "ITEM_ID"),
        ("users", [("AGE", "int")], "USER_ID"),
        ("Actions", [("VALUE", "long")], "ACTION_ID"),
        ("ActionInteractions", [*BASE[:1], ("ACTION_ID", "string"), BASE[2]], "EVENT_TYPE"),
    ],
)
def test_the_missing_required_field_is_named(name, fields, missing):
    with pytest.raises(InvalidInput, match=f"missing the required field {missing}"):
        parse_schema(text(name, fields))


def test_another_record_name_is_checked_only_with_its_dataset():
    schema = parse_schema(text("Ratings", BASE[:2]))
    with pytest.raises(InvalidInput, match="TIMESTAMP"):
        check_schema(schema, "INTERACTIONS", None)
    check_schema(schema, "ITEMS", None)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "not an Avro record"),
        ('{"type": "enum"}', "not an Avro record"),
        (text(version="2.0"), "version"),
        (text(version=True), "version"),
        (text(version=["1.0"]), "version"),
        (text(version="1.1-beta"), "version"),
        (text("1x"), "name"),
        (text(fields=[]), "fields"),
        (text(fields=[*BASE, {"type": "string"}]), "name"),
        (text(fields=[*BASE, {"name": "A"}]), "Field A .* no .*type"),
        (text(fields=[*BASE, ("A B", "string")]), "A B"),
        (text(fields=[*BASE, ("A", "bytes")]), "Field A .*bytes"),
        (text(fields=[*BASE, ("A", {"type": "array", "items": "string"})]), "Field A"),
        (text(fields=[*BASE, ("A", ["string", "int"])]), "Field A"),
        (text(fields=[*BASE, ("A", ["null"])]), "Field A"),
        (text(fields=[*BASE, ("A", [])]), "Field A"),
        (text(fields=[*BASE, ("A", "string", {"categorical": "true"})]), "Field A .*categorical"),
        (text(fields=[*BASE, ("A", "float", CATEGORICAL)]), "Field A .*categorical"),
        (text(fields=[*BASE, ("A", "string", TEXTUAL)]), "A is textual"),
        (
            text(fields=[*BASE, ("GENRES_FIELD_1", "string"), ("GENRESFIELD1", "string")]),
            "GENRES_FIELD_1 and GENRESFIELD1",
        ),
        (text(fields=[*BASE, ("item_id", "string")]), "ITEM_ID and item_id"),
        (text(fields=[("USER_ID", "int"), *BASE[1:]]), "USER_ID .*must have type string, not int"),
        (text(fields=[("USER_ID", ["string", "null"]), *BASE[1:]]), "USER_ID .*cannot be null"),
        (text(fields=[*BASE[:2], ("TIMESTAMP", "string")]), "TIMESTAMP .*must have type long"),
        (text(fields=[*BASE, ("EVENT_TYPE", "string", CATEGORICAL)]), "EVENT_TYPE .*cannot be categorical"),
        (text(fields=[*BASE, ("EVENT_VALUE", "string")]), "EVENT_VALUE .*must have type float"),
        (text(fields=[*BASE, *((f"M{i}", "string") for i in range(6))]), "6 metadata fields.*at most 5"),
        (text("Items", [("ITEM_ID", "string")]), "at least one metadata field"),
        (
            text("Items", [("ITEM_ID", "string"), ("CREATION_TIMESTAMP", "long")]),
            "at least one metadata field",
        ),
        (text("Items", [("ITEM_ID", "string"), *((f"M{i}", "int") for i in range(101))]), "at most 100"),
        (text("Users", [("USER_ID", "string"), *((f"M{i}", "int") for i in range(26))]), "at most 25"),
        (
            text("Items", [("ITEM_ID", "string"), ("A", "string", TEXTUAL), ("B", "string", TEXTUAL)]),
            "one textual field",
        ),
    ],
)
def test_what_is_no_schema_is_refused_with_what_is_wrong(schema, says):
    with pytest.raises(InvalidInput, match=says):
        parse_schema(schema)


def test_interactions_have_five_metadata_fields_beside_the_reserved_ones():
    reserved = [("EVENT_TYPE", "string"), ("IMPRESSION", "string"), ("RECOMMENDATION_ID", ["string", "null"])]
    metadata = [(f"M{i}", "string", CATEGORICAL) for i in range(5)]
    parse_schema(text(fields=[*BASE, *reserved, *metadata]))


@pytest.mark.parametrize("domain", ["ECOMMERCE", "VIDEO_ON_DEMAND"])
def test_a_domain_needs_the_event_type(domain):
    with pytest.raises(InvalidInput, match="EVENT_TYPE"):
        check_schema(parse_schema(text()), "INTERACTIONS", domain)
    check_schema(parse_schema(text(fields=[*BASE, ("EVENT_TYPE", "string")])), "INTERACTIONS", domain)


def test_a_shop_needs_price_and_category():
    fields = [("ITEM_ID", "string"), ("PRICE", "float"), ("CATEGORY_L1", ["string"], CATEGORICAL)]
    for missing in fields[1:]:
        others = [field for field in fields if field is not missing]
        with pytest.raises(InvalidInput, match=missing[0]):
            check_schema(parse_schema(text("Items", others)), "ITEMS", "ECOMMERCE")
    check_schema(parse_schema(text("Items", fields)), "ITEMS", "ECOMMERCE")
    plain = [fields[0], fields[1], ("CATEGORY_L1", "string")]
    with pytest.raises(InvalidInput, match=r"CATEGORY_L1 .*must be categorical"):
        check_schema(parse_schema(text("Items", plain)), "ITEMS", "ECOMMERCE")


@pytest.mark.parametrize("type_", ["long", "float"])
def test_a_shop_may_write_its_creation_timestamp_as_float(type_):
    fields = [
        ("ITEM_ID", "string"),
        ("PRICE", "float"),
        ("CATEGORY_L1", "string", CATEGORICAL),
        ("CREATION_TIMESTAMP", type_),
    ]
    check_schema(parse_schema(text("Items", fields)), "ITEMS", "ECOMMERCE")


def test_elsewhere_the_creation_timestamp_is_long():
    schema = parse_schema(
        text("Items", [("ITEM_ID", "string"), ("A", "int"), ("CREATION_TIMESTAMP", "float")])
    )
    with pytest.raises(InvalidInput, match=r"CREATION_TIMESTAMP .*must have type long"):
        check_schema(schema, "ITEMS", None)


def test_a_video_catalogue_needs_genres_and_creation_timestamp():
    fields = [("ITEM_ID", "string"), ("GENRES", "string", CATEGORICAL), ("CREATION_TIMESTAMP", "long")]
    check_schema(parse_schema(text("Items", fields)), "ITEMS", "VIDEO_ON_DEMAND")
    with pytest.raises(InvalidInput, match="CREATION_TIMESTAMP"):
        check_schema(parse_schema(text("Items", fields[:2])), "ITEMS", "VIDEO_ON_DEMAND")


def test_a_domain_has_no_actions():
    actions = parse_schema(text("Actions", [("ACTION_ID", "string"), ("VALUE", ["long", "null"])]))
    check_schema(actions, "ACTIONS", None)
    with pytest.raises(InvalidInput, match="ACTIONS"):
        check_schema(actions, "ACTIONS", "ECOMMERCE")


def test_a_record_named_after_one_type_of_dataset_is_of_no_other():
    fields = [("USER_ID", "string"), ("ITEM_ID", "string"), ("TIMESTAMP", "long")]
    interactions = parse_schema(text("interactions", fields))
    check_schema(interactions, "INTERACTIONS", None)
    with pytest.raises(InvalidInput, match="of a record interactions"):
        check_schema(interactions, "USERS", None)
    check_schema(parse_schema(text("Foo", fields)), "USERS", None)  # any other name goes with any
