"""XML by the service models: what rest-xml and query services read and write.

Source: Smithy, "AWS restXml protocol", "AWS query protocol" and "XML bindings"; botocore's models carry the
bindings as ``locationName``, ``flattened``, ``xmlAttribute`` and ``xmlNamespace``.
"""

import re
import time
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from nextpick.errors import Serialization
from nextpick.wire.shapes import Shape

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")


def text_of(value: str) -> str:
    """Return character data: control characters as references, as S3 writes them (XML 1.0 cannot hold most)."""
    return _CONTROL.sub(lambda match: f"&#x{ord(match[0]):x};", escape(value))


def write(shapes: dict[str, Shape], shape: Shape, value: Any, tag: str, attributes: str = "") -> str:
    """Return ``value`` as the element ``tag``; members that are None or bound to headers are left out.

    Timestamps are seconds since 1970 and are written in ISO 8601, whole seconds.
    """
    kind = shape["type"]
    if kind == "structure":
        inner, more = _members(shapes, shape, value)
        return f"<{tag}{attributes}{more}>{inner}</{tag}>"
    if kind == "list":
        member, name = shapes[shape["member"]["shape"]], shape["member"].get("locationName", "member")
        inner = "".join(write(shapes, member, one, name) for one in value)
        return f"<{tag}{attributes}>{inner}</{tag}>"
    if kind == "map":
        key, held = shapes[shape["key"]["shape"]], shapes[shape["value"]["shape"]]
        entries = (write(shapes, key, k, "key") + write(shapes, held, v, "value") for k, v in value.items())
        inner = "".join(f"<entry>{entry}</entry>" for entry in entries)
        return f"<{tag}{attributes}>{inner}</{tag}>"
    return f"<{tag}{attributes}>{text_of(scalar_text(shape, value))}</{tag}>"


def _members(shapes: dict[str, Shape], shape: Shape, value: dict[str, Any]) -> tuple[str, str]:
    """Return the inner elements of a structure, and its attributes."""
    pieces, attributes = [], ""
    for name, reference in shape["members"].items():
        held = value.get(name)
        if held is None or reference.get("location"):
            continue
        member = shapes[reference["shape"]]
        tag = reference.get("locationName", name)
        if reference.get("xmlAttribute"):
            attributes += f" {tag}={quoteattr(held)}"
        elif member["type"] == "list" and (member.get("flattened") or reference.get("flattened")):
            one = shapes[member["member"]["shape"]]
            pieces += [write(shapes, one, each, tag, _namespace(reference, one)) for each in held]
        else:
            pieces.append(write(shapes, member, held, tag, _namespace(reference, member)))
    return "".join(pieces), attributes


def _namespace(reference: Shape, shape: Shape) -> str:
    declared = reference.get("xmlNamespace") or shape.get("xmlNamespace")
    if not isinstance(declared, dict):
        return ""
    prefix = f":{declared['prefix']}" if "prefix" in declared else ""
    return f" xmlns{prefix}={quoteattr(declared['uri'])}"


def scalar_text(shape: Shape, value: Any) -> str:
    """Return a scalar as XML and query strings write it."""
    if shape["type"] == "boolean":
        return "true" if value else "false"
    if shape["type"] == "timestamp":
        return iso_8601(value)
    return str(value)


def iso_8601(seconds: float) -> str:
    """Return a time, in whole seconds, as ``2026-11-24T07:56:57.000Z``."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def parse(body: bytes) -> ElementTree.Element:
    """Return the root of a document, whose tags have lost their namespaces.

    Raises Serialization when it is not well-formed. A document type, which could define entities, is none.
    """
    if b"<!DOCTYPE" in body[:4096] or b"<!ENTITY" in body:
        raise Serialization("A document type is not allowed in the XML of a request.")
    try:
        root = ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError) as error:
        raise Serialization(f"The XML could not be read: {error}") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def read(shapes: dict[str, Shape], shape: Shape, element: ElementTree.Element) -> Any:
    """Return an element as the model reads it. Raises Serialization for text that is not of its type.

    An element may be called as the model's ``locationName`` says, or, as newer documentation has it, as its
    member (``LambdaFunctionArn`` for ``CloudFunction``). What the model does not know is left out.
    """
    kind = shape["type"]
    if kind == "structure":
        answer = {}
        for name, reference in shape["members"].items():
            if reference.get("location"):
                continue
            found = _find(element, reference.get("locationName", name), name)
            if not found:
                continue
            member = shapes[reference["shape"]]
            if member["type"] == "list" and (member.get("flattened") or reference.get("flattened")):
                one = shapes[member["member"]["shape"]]
                answer[name] = [read(shapes, one, each) for each in found]
            else:
                answer[name] = read(shapes, member, found[0])
        return answer
    if kind == "list":
        return [read(shapes, shapes[shape["member"]["shape"]], each) for each in element]
    return scalar(
        shape, (element.text or "").strip() if kind != "string" else element.text or "", element.tag
    )


def _find(element: ElementTree.Element, *names: str) -> list[ElementTree.Element]:
    for name in (*names, f"{names[-1].removesuffix('s')}"):
        found = element.findall(name.rpartition(":")[2]) if name else []
        if found:
            return found
    return []


def scalar(shape: Shape, text: str, name: str) -> Any:
    """Return text as the model's scalar type. Raises Serialization naming it."""
    kind = shape["type"]
    if kind in ("string", "blob", "timestamp"):
        return text
    if kind == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in ("integer", "long") and re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        return int(text)
    if kind in ("double", "float") and re.fullmatch(r"[+-]?[0-9.]{1,30}([eE][+-]?[0-9]{1,3})?", text):
        try:
            return float(text)
        except ValueError:
            pass
    raise Serialization(f"'{text[:100]}' is not a valid {kind} for {name}.")
