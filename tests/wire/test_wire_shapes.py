import json

import pytest
import regex
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from nextpick.errors import InvalidInput, Serialization
from nextpick.wire.dispatch import SERVICES
from nextpick.wire.shapes import models_dir, pattern, python_pattern, service, validate

ARN = "arn:aws:personalize:eu-west-1:123456789012:campaign/c"
GROUP = "arn:aws:personalize:eu-west-1:123456789012:dataset-group/g"


def message(service_name, operation, request, error=InvalidInput):
    with pytest.raises(error) as caught:
        validate(service_name, operation, request)
    return caught.value.message


def one(text):
    return "1 validation error detected: " + text


def test_the_operations_are_those_of_botocore():
    for name in SERVICES[:3]:
        model = Loader().load_service_model(name, "service-2")
        assert set(service(name).operations) == set(model["operations"])
    assert len(service("personalize").operations) >= 71
    assert set(service("nextpick").operations) == {
        "DescribeJob",
        "ListJobs",
        "GetJobReport",
        "StopJob",
        "GetHealth",
        "GetAttributionMetrics",
        "GetUsage",
        "GetEvaluation",
        "StartEvaluation",
        "GetDataHealth",
        "StartDataHealth",
        "ExplainRecommendations",
    }


def test_our_own_model_is_whole():
    model = json.loads((models_dir() / "nextpick" / "2026-11-01" / "service-2.json").read_text())
    named = {"members": lambda s: s["members"].values(), "member": lambda s: [s["member"]]}
    named |= {"key": lambda s: [s["key"]], "value": lambda s: [s["value"]]}
    used = set()
    for shape in model["shapes"].values():
        for part, references in named.items():
            if part in shape:
                used |= {reference["shape"] for reference in references(shape)}
    for operation in model["operations"].values():
        used |= {operation["input"]["shape"], operation["output"]["shape"]}
        used |= {error["shape"] for error in operation["errors"]}
    assert used == set(model["shapes"])


def test_a_service_of_aws_that_is_not_ours_has_no_model():
    with pytest.raises(KeyError):
        service("sqs")


def test_every_pattern_compiles_and_its_text_is_bounded():
    for name in SERVICES:
        for shape in service(name).shapes.values():
            if "pattern" in shape:
                assert pattern(shape["pattern"])
                assert shape["max"] <= 2048


def test_too_long_a_name():
    assert message("personalize", "CreateDatasetGroup", {"name": "a" * 64}) == one(
        f"Value '{'a' * 64}' at 'name' failed to satisfy constraint: "
        "Member must have length less than or equal to 63"
    )


def test_a_name_that_does_not_match():
    assert message("personalize", "CreateDatasetGroup", {"name": "-x"}) == one(
        "Value '-x' at 'name' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: ^[a-zA-Z0-9][a-zA-Z0-9\-_]*"
    )


def test_a_pattern_must_match_in_full():
    assert validate("personalize", "CreateDatasetGroup", {"name": "a-b_c"}) == {"name": "a-b_c"}
    for name in ("a b", "a\n", "a.b", "aé"):
        assert "regular expression" in message("personalize", "CreateDatasetGroup", {"name": name})


def test_digits_are_those_of_ascii_as_in_java():
    role = "arn:aws:iam::{}:role/r"
    request = {"name": "g", "roleArn": role.format("123456789012")}
    assert validate("personalize", "CreateDatasetGroup", request) == request
    request["roleArn"] = role.format("١٢٣٤٥٦٧٨٩٠١٢")
    assert "roleArn" in message("personalize", "CreateDatasetGroup", request)


def test_tags_may_hold_letters_of_any_script():
    request = {"name": "g", "tags": [{"tagKey": "größe", "tagValue": "大 1"}]}
    assert validate("personalize", "CreateDatasetGroup", request) == request
    request["tags"][0]["tagKey"] = "a*b"
    assert message("personalize", "CreateDatasetGroup", request) == one(
        "Value at 'tags.1.member.tagKey' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$"
    )


def test_an_enum():
    assert message("personalize", "CreateDatasetGroup", {"name": "g", "domain": "MUSIC"}) == one(
        "Value 'MUSIC' at 'domain' failed to satisfy constraint: "
        "Member must satisfy enum value set: [ECOMMERCE, VIDEO_ON_DEMAND]"
    )


def test_a_dataset_type_is_no_enum():
    request = {"name": "d", "schemaArn": GROUP, "datasetGroupArn": GROUP, "datasetType": "Interactions"}
    assert validate("personalize", "CreateDataset", request) == request


def test_what_is_required_may_not_be_missing_nor_null():
    expected = one("Value null at 'name' failed to satisfy constraint: Member must not be null")
    assert message("personalize", "CreateDatasetGroup", {}) == expected
    assert message("personalize", "CreateDatasetGroup", {"name": None}) == expected


def test_numbers_have_bounds():
    request = {"name": "c", "solutionVersionArn": ARN, "minProvisionedTPS": 0}
    assert message("personalize", "CreateCampaign", request) == one(
        "Value '0' at 'minProvisionedTPS' failed to satisfy constraint: "
        "Member must have value greater than or equal to 1"
    )
    assert message("personalize", "ListSchemas", {"maxResults": 101}) == one(
        "Value '101' at 'maxResults' failed to satisfy constraint: "
        "Member must have value less than or equal to 100"
    )


def test_all_violations_are_named():
    text = message("personalize", "CreateSchema", {"name": "", "domain": "x"})
    assert text.startswith("4 validation errors detected: ")
    assert text.count("; ") == 3
    for part in ("greater than or equal to 1", "regular expression", "enum value set", "null at 'schema'"):
        assert part in text


def test_lists_and_maps_have_sizes_and_members():
    event = {"eventType": "click", "sentAt": 1}
    request = {"trackingId": "t", "sessionId": "s", "eventList": [event] * 11}
    assert message("personalize-events", "PutEvents", request) == one(
        "Value at 'eventList' failed to satisfy constraint: Member must have length less than or equal to 10"
    )
    request["eventList"] = [{**event, "impression": []}]
    assert message("personalize-events", "PutEvents", request) == one(
        "Value at 'eventList.1.member.impression' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1"
    )
    ranking = {"campaignArn": ARN, "userId": "u", "inputList": ["a", "b" * 257]}
    assert message("personalize-runtime", "GetPersonalizedRanking", ranking).endswith(
        "at 'inputList' failed to satisfy constraint: Member must satisfy constraint: "
        "[Member must have length less than or equal to 256]"
    )
    assert message("personalize-runtime", "GetRecommendations", {"context": {"a b": "x"}}) == one(
        "Value at 'context' failed to satisfy constraint: Map keys must satisfy constraint: "
        "[Member must have length less than or equal to 150, "
        r"Member must satisfy regular expression pattern: [A-Za-z\d_]+]"
    )
    assert message("personalize-runtime", "GetRecommendations", {"filterValues": {"A": "x" * 1001}}) == one(
        "Value at 'filterValues' failed to satisfy constraint: Map value must satisfy constraint: "
        "[Member must have length less than or equal to 1000]"
    )
    ranking["inputList"] = ["a", None]
    assert message("personalize-runtime", "GetPersonalizedRanking", ranking) == one(
        "Value '[a, null]' at 'inputList' failed to satisfy constraint: Member must not be null"
    )


def test_a_message_repeats_only_the_beginning_of_a_long_value():
    text = message("personalize", "CreateSchema", {"name": "n", "schema": "x" * 1_000_000})
    assert len(text) < 500


@pytest.mark.parametrize(
    ("operation", "request_", "expected"),
    [
        ("CreateDatasetGroup", [], "Start of list found where not expected; an object is expected."),
        ("CreateDatasetGroup", "x", "STRING_VALUE can not be converted to an object"),
        ("CreateDatasetGroup", None, "NULL_VALUE can not be converted to an object"),
        ("CreateDatasetGroup", {"name": 5}, "name: NUMBER_VALUE can not be converted to a String"),
        ("CreateDatasetGroup", {"name": True}, "name: BOOLEAN_VALUE can not be converted to a String"),
        ("CreateDatasetGroup", {"name": {}}, "name: Start of structure or map found"),
        ("CreateDatasetGroup", {"tags": {}}, "tags: Start of structure or map found"),
        (
            "CreateSolution",
            {"solutionConfig": "x"},
            "solutionConfig: STRING_VALUE can not be converted to an object",
        ),
        (
            "CreateSolution",
            {"performHPO": "yes"},
            "performHPO: STRING_VALUE can not be converted to a Boolean",
        ),
        ("CreateSolution", {"performHPO": 1}, "performHPO: NUMBER_VALUE can not be converted to a Boolean"),
        ("CreateCampaign", {"minProvisionedTPS": True}, "BOOLEAN_VALUE can not be converted to an Integer"),
        ("CreateCampaign", {"minProvisionedTPS": "1"}, "STRING_VALUE can not be converted to an Integer"),
        ("CreateCampaign", {"minProvisionedTPS": 1.5}, "NUMBER_VALUE can not be converted to an Integer"),
        ("CreateCampaign", {"minProvisionedTPS": 2**31}, "2147483648 is out of the range of an Integer"),
        ("CreateCampaign", {"minProvisionedTPS": 10**5000}, "a number of many digits is out of the range"),
    ],
)
def test_a_value_of_another_json_type_cannot_be_read(operation, request_, expected):
    assert expected in message("personalize", operation, request_, Serialization)


def test_unknown_members_are_ignored_and_null_ones_absent():
    request = {"name": "g", "domain": None, "tags": None, "newerThanTheModel": {"x": [1]}}
    assert validate("personalize", "CreateDatasetGroup", request) == {"name": "g"}
    assert validate("personalize-runtime", "GetRecommendations", {"context": {"A": None, "B": "x"}}) == {
        "context": {"B": "x"}
    }


def test_booleans_may_be_words():
    request = {"name": "s", "datasetGroupArn": GROUP, "performHPO": "true", "performAutoML": "false"}
    answer = validate("personalize", "CreateSolution", request)
    assert (answer["performHPO"], answer["performAutoML"]) == (True, False)


@pytest.mark.parametrize(("given_", "read"), [("5", 5), (5.0, 5), ("0", 0), ("NaN", None), (None, None)])
@pytest.mark.parametrize("operation", ["GetRecommendations", "GetActionRecommendations"])
def test_num_results_may_be_text_or_nothing(operation, given_, read):
    answer = validate("personalize-runtime", operation, {"numResults": given_})
    assert answer == ({} if read is None else {"numResults": read})


@pytest.mark.parametrize("given_", ["", "five", "5.0", "1e3", " 5", "٥", "99999999999"])
def test_num_results_may_not_be_any_text(given_):
    message("personalize-runtime", "GetRecommendations", {"numResults": given_}, Serialization)


def test_num_results_in_text_has_the_same_bounds():
    assert "greater than or equal to 0" in message(
        "personalize-runtime", "GetRecommendations", {"numResults": "-1"}
    )


def event(**members):
    request = {"trackingId": "t", "sessionId": "s", "eventList": [{"eventType": "click", **members}]}
    return validate("personalize-events", "PutEvents", request)["eventList"][0]


@pytest.mark.parametrize(
    ("given_", "read"),
    [
        (1698711110, 1698711110.0),
        (1795393477.539159, 1795393477.539159),
        ("1698711110", 1698711110.0),
        ("1698711110.5", 1698711110.5),
        ("2023-10-31T00:11:50Z", 1698711110.0),
        ("2023-10-31T00:11:50", 1698711110.0),
        ("2023-10-31T02:11:50+02:00", 1698711110.0),
        (None, None),
    ],
)
def test_the_time_of_an_event_may_be_written_in_many_ways(given_, read):
    assert event(sentAt=given_)["sentAt"] == read


@pytest.mark.parametrize("given_", ["", "now", "NaN", "9" * 18, 1e300, -1e12, True, [], {}])
def test_the_time_of_an_event_may_not_be_anything(given_):
    with pytest.raises(Serialization) as caught:
        event(sentAt=given_)
    assert "eventList.1.member.sentAt" in caught.value.message


def test_an_event_without_a_time_is_refused():
    with pytest.raises(InvalidInput) as caught:
        event()
    assert "null at 'eventList.1.member.sentAt'" in caught.value.message


def test_properties_may_be_an_object():
    assert event(sentAt=1, properties={"itemId": "ü", "n": [1]})["properties"] == '{"itemId":"ü","n":[1]}'
    assert event(sentAt=1, properties='{"a": 1}')["properties"] == '{"a": 1}'
    with pytest.raises(InvalidInput):
        event(sentAt=1, properties={"x": "y" * 1020})
    request = {"datasetArn": GROUP, "items": [{"itemId": "i", "properties": {"g": "a|b"}}]}
    answer = validate("personalize-events", "PutItems", request)
    assert answer["items"][0]["properties"] == '{"g":"a|b"}'


@given(st.text(alphabet=st.sampled_from(" !~a\x1f\x7f\n"), max_size=8))
def test_the_linear_pattern_of_an_attribution_source_matches_what_the_model_states(text):
    stated = r"^[\x20-\x7E]*[\x21-\x7E]+[\x20-\x7E]*$"
    assert python_pattern(stated) != stated
    assert bool(pattern(stated).fullmatch(text)) == bool(regex.fullmatch(stated, text))


def test_a_hostile_text_is_checked_quickly():
    source = "a" * 1023 + "\x01"
    with pytest.raises(InvalidInput, match="eventAttributionSource"):
        event(sentAt=1, metricAttribution={"eventAttributionSource": source})


def test_a_message_repeats_nothing_deep_or_wide():
    deep = {}
    for _ in range(5000):
        deep = {"a": deep, "b": [1] * 3}
    text = message("personalize", "CreateDatasetGroup", {"name": "g", "tags": [deep] * 201})
    assert len(text) < 500
    text = message("personalize", "CreateDatasetGroup", {"name": "g", "tags": [{}] * 200})
    assert text.startswith("400 validation errors detected: ")
    assert len(text) < 5000
