"""Mapping templates give what API Gateway's give, and reach nothing beside what they are given."""

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpick.gateway import jsonpath
from nextpick.gateway.velocity import TemplateError, compile_template
from nextpick.gateway.velocity.variables import UTIL, input_variable

BODY = {
    "stream-name": "my-stream",
    "Data": {"userId": "429", "interactions": 1},
    "list": [{"id": 1}, {"id": 2}],
}


def render(template: str, body: Any = BODY, **params: dict[str, str]) -> str:
    given = {"path": {}, "querystring": {}, "header": {}, **params}
    text = body if isinstance(body, str) else json.dumps(body)
    variables = {
        "input": input_variable(text, given),
        "util": UTIL,
        "context": {"stage": "dev", "identity": {"sourceIp": "::1"}, "responseOverride": {"header": {}}},
        "stageVariables": {"campaign": "c"},
    }
    return compile_template(template).render(variables)


def test_a_template_makes_the_event_of_a_function() -> None:
    template = """{ "queryStringParameters": { "user_id": "$input.params('user_id')" } }"""
    assert json.loads(render(template, querystring={"user_id": "10"})) == {
        "queryStringParameters": {"user_id": "10"}
    }


def test_a_template_makes_a_record_of_a_part_of_the_body() -> None:
    made = json.loads(
        render(
            """{"StreamName":"$input.path('$.stream-name')","Data":"$util.base64Encode($input.json('$.Data'))"}"""
        )
    )
    assert made["StreamName"] == "my-stream"
    assert json.loads(base64.b64decode(made["Data"])) == BODY["Data"]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("$input.params('X-Name')", "h"),
        ("$input.params('both')", "path"),
        ("$input.params('none')|", "|"),
        ("$input.params().querystring.q", "1"),
        ("#foreach($n in $input.params().querystring.keySet())$n;#end", "both;q;"),
        ("$input.path('$.list[1].id')", "2"),
        ("$input.path('$.list').size()", "2"),
        ("$input.json('$.list[*].id')", "[1,2]"),
        ("$input.json('$.none')", '""'),
        ("$context.stage $context.identity.sourceIp [$context.none]", "dev ::1 []"),
        ("$stageVariables.campaign", "c"),
        ("$unknown $!unknown|${unknown}", "$unknown |${unknown}"),
        ('$util.escapeJavaScript("it\'s")', "it\\'s"),
        ("$util.urlEncode('a b&c') $util.urlDecode('a+b')", "a+b%26c a b"),
        ("$util.base64Decode($util.base64Encode('ü'))", "ü"),
        ("$util.parseJson('{\"a\": [1, 2]}').a[1]", "2"),
        ("#set($a = 3)#set($b = $a * 2 + 1)$b", "7"),
        ("#if($input.path('$.none'))yes#{else}no#end", "no"),
        ("#if(1 == 2)a#elseif('x' == \"x\" && !false)b#{else}c#end", "b"),
        ("#foreach($i in $input.path('$.list'))$i.id#if($foreach.hasNext),#end#end", "1,2"),
        ("#foreach($i in [1..3])$i#if($i == 2)#break#end#end", "12"),
        ("#set($m = {'a': 1})#set($m.b = 2)$m.get('b')$m.size()", "22"),
        ('#set($s = "in $context.stage")$s.toUpperCase()', "IN DEV"),
        ("#set($x = 'a.b')$x.replaceAll('[.]', '-')", "a-b"),
        ("## a comment\nx#* another *#y", "xy"),
        ("#set($x = 1)\n  line", "  line"),
        ("costs \\$5 #hash $5", "costs $5 #hash $5"),
        ("$input.path('$.Data')", "{userId=429, interactions=1}"),
    ],
)
def test_what_a_template_says_is_what_it_gives(template: str, text: str) -> None:
    params = {"path": {"both": "path"}, "querystring": {"both": "query", "q": "1"}, "header": {"x-name": "h"}}
    assert render(template, **params) == text


@pytest.mark.parametrize(
    "name",
    [
        "input.__class__", "input.methods", "input.members", "util.methods.get('urlEncode')", "context.__class__",
        "context.keys", "context.pop('stage')", "x.__class__", "x.format('{0.__class__}')", "x.encode('utf-8')",
        "x.join",
        "x.class", "x.getClass()", "list.__len__()", "list.sort", "list.append(1)", "input.path('$').__class__",
        "x.__init__.__globals__", "x._private", "input.path.__globals__",
    ],
)  # fmt: skip
def test_no_template_gets_at_python(name: str) -> None:
    given = render(f"#set($x = 'text')#set($list = [1])[$!{name}]")
    for inside in ("<class", "<built-in", "<bound", "<function", "object at", "dict_keys", "b'"):
        assert inside not in given


@pytest.mark.parametrize(
    "template", ["${util.__init__}", "$x.y(", "#if(true)", "#end", "#set($x)", "#foreach($x)#end"]
)
def test_a_template_that_cannot_be_read_is_refused_with_its_line(template: str) -> None:
    with pytest.raises(TemplateError, match="line 2"):
        compile_template("\n" + template)


@pytest.mark.parametrize(
    "template",
    [
        "#foreach($a in [1..10000])#foreach($b in [1..10000])#end#end",
        "#set($s = 'xxxxxxxxxxxxxxxx')#foreach($i in [1..60])#set($s = \"$s$s\")#end",
        "#set($s = 'xxxxxxxxxxxxxxxx')#foreach($i in [1..60])#set($s = $s.concat($s))#end",
        "#set($s = 'xxxxxxxxxxxxxxxx')#foreach($i in [1..60])#set($s = $s + $s)#end",
        "#set($l = [1])#foreach($i in [1..60])#set($l = [$l, $l])#end$l",
        "#set($l = [])$l.add($l)$l",
        "#set($n = 2)#foreach($i in [1..60])#set($n = $n * $n)#end",
        "#foreach($i in [1..100000])#end",
    ],
)
def test_a_template_that_would_not_end_is_ended(template: str) -> None:
    with pytest.raises(TemplateError):
        render(template)


def test_a_pattern_that_takes_too_long_matches_nothing() -> None:
    assert render("#set($x = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab')[$!x.matches('(a|aa)+$')]") in (
        "[]",
        "[false]",
    )


@given(st.text())
def test_any_text_is_a_template_or_is_refused(text: str) -> None:
    with contextlib.suppress(TemplateError):
        render(text)


VALUES = st.none() | st.integers(-1000, 1000) | st.text()


@given(st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_the_whole_body_comes_through_as_it_was(body: Any) -> None:
    given = render("$input.json('$')", json.dumps(body))
    assert json.loads(given) == ("" if body is None else body)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", {"a": {"b": [1, 2]}, "c-d": 3}), ("$.a.b[0]", 1), ("$.a.b[-1]", 2), ("$['c-d']", 3), ("$.c-d", 3),
        ("$..b", [[1, 2]]), ("$.a.*", [[1, 2]]), ("$.a.b[*]", [1, 2]), ("$.x.y", None), ("$.a.b[9]", None),
    ],
)  # fmt: skip
def test_a_path_leads_where_it_says(path: str, found: Any) -> None:
    assert jsonpath.find({"a": {"b": [1, 2]}, "c-d": 3}, path) == found


@pytest.mark.parametrize("path", ["a", "$.", "$[", "$.a[?(@.b)]", "$.a..", "$x"])
def test_a_path_that_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="JSONPath"):
        jsonpath.find({}, path)
