"""The documented JSON form of a status, and its schema: ``docs/specifications/status.rst``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from inspect import getdoc
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import attrs

from raic.status.values import NodeStatus

FORMAT = 1
"""Rises when something in the form changes its meaning or goes; what is added changes nothing."""

_LEFT_OUT = frozenset({"buckets"})
_IVAR = re.compile(r":ivar (\w+):\s*(.*?)(?=\n:ivar|\n\n|\Z)", re.DOTALL)
_SIMPLE: Mapping[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    NoneType: "null",
}


def plain(status: NodeStatus) -> dict[str, Any]:
    """A status as plain values, by the names of its attributes."""
    told: dict[str, Any] = attrs.asdict(
        status, filter=lambda attribute, _: attribute.name not in _LEFT_OUT
    )
    return {"format": FORMAT, **told}


def make_schema() -> dict[str, Any]:
    """The JSON schema of the form."""
    schema = _object(NodeStatus)
    form = {"const": FORMAT, "description": "The version of this form."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The status of a RAIC node",
        **schema,
        "required": ["format", *schema["required"]],
        "properties": {"format": form, **schema["properties"]},
    }


def _object(cls: type[attrs.AttrsInstance]) -> dict[str, Any]:
    text = getdoc(cls) or ""
    told = {name: _squeezed(words) for name, words in _IVAR.findall(text)}
    hints = get_type_hints(cls)
    names = [each.name for each in attrs.fields(cls) if each.name not in _LEFT_OUT]
    properties = {name: _described(_type(hints[name]), told.get(name)) for name in names}
    return {
        "type": "object",
        "description": _squeezed(text.partition("\n\n")[0]),
        "required": names,
        "properties": properties,
    }


def _type(hint: Any) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return {"anyOf": [_type(each) for each in arguments]}
    if origin is tuple:
        return {"type": "array", "items": _type(arguments[0])}
    if origin is not None:
        return {"type": "object", "additionalProperties": _type(arguments[1])}
    return {"type": _SIMPLE[hint]} if hint in _SIMPLE else _object(hint)


def _described(schema: dict[str, Any], words: str | None) -> dict[str, Any]:
    return schema if words is None else {**schema, "description": words}


def _squeezed(text: str) -> str:
    return " ".join(text.split())
