"""JSON Schema (2020-12, as OpenAPI 3.1 has it) of request types, made from their annotations.

A schema describes what to send, not every form that is taken: limits count the text as sent,
although the server counts after normalising and trimming.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo, fields

from longlist.decoding import Body, Query, members
from longlist.decoding.rules import JsonSchema, Option, Shape, is_struct, shape_of, tag_of

_REF = "#/components/schemas/"


def json_schema(kind: Any) -> JsonSchema:
    """The schema of a Body type or union of them; structs inside are references."""
    return _options_schema(shape_of(kind))


def components(kinds: Iterable[Any]) -> dict[str, JsonSchema]:
    """The schema of every struct in `kinds` and inside them, by class name.

    Raises TypeError when two structs share a name.
    """
    found: dict[str, Any] = {}
    for kind in kinds:
        for struct in _structs(kind):
            if found.setdefault(struct.__name__, struct) is not struct:
                raise TypeError(f"two request types are named {struct.__name__}")
    return {name: _object_schema(found[name]) for name in sorted(found)}


def query_parameters(kind: type[Query]) -> list[dict[str, Any]]:
    """The OpenAPI parameter objects of a Query type."""
    return [_parameter(info) for info in fields(kind)]


def _parameter(info: FieldInfo) -> dict[str, Any]:
    shape = shape_of(info.type)
    parameter: dict[str, Any] = {
        "name": info.encode_name,
        "in": "query",
        "required": info.required,
        "schema": _with_default(_options_schema(shape), info),
    }
    if shape.description:
        parameter["description"] = shape.description
    if any(get_origin(option.kind) is list for option in shape.options):
        parameter |= {"style": "form", "explode": False}
    return parameter


def _structs(hint: Any) -> Iterator[Any]:
    for option in shape_of(hint).options:
        if is_struct(option.kind):
            yield option.kind
            for info in members(option.kind):
                yield from _structs(info.type)
        elif option.rule is None:
            yield from _structs(get_args(option.kind)[-1])


def _options_schema(shape: Shape) -> JsonSchema:
    kinds = [option.kind for option in shape.options]
    schemas = [_option_schema(option) for option in shape.options]
    if len(schemas) == 1:
        return schemas[0]
    if not all(is_struct(kind) for kind in kinds):
        # Python keeps one of `A | B` and `B | A` for both, whichever was written first.
        return {"anyOf": sorted(schemas, key=repr)}
    tags = {tag_of(kind): kind.__name__ for kind in kinds}
    return {
        "oneOf": schemas,
        "discriminator": {
            "propertyName": next(tag[0] for tag in tags if tag),
            "mapping": {tag[1]: _REF + name for tag, name in tags.items() if tag},
        },
    }


def _option_schema(option: Option) -> JsonSchema:
    if option.rule is not None:
        return option.rule.schema()
    if is_struct(option.kind):
        return {"$ref": _REF + option.kind.__name__}
    inner = _value_schema(get_args(option.kind)[-1])
    items = option.items
    low, high = (items.min, items.max) if items else (0, 0)
    if get_origin(option.kind) is dict:
        return {
            "type": "object",
            "additionalProperties": inner,
            "minProperties": low,
            "maxProperties": high,
        }
    array: JsonSchema = {"type": "array", "items": inner, "minItems": low, "maxItems": high}
    if items and items.distinct:
        array["uniqueItems"] = True
    return array


def _value_schema(hint: Any, *, allow_null: bool = False) -> JsonSchema:
    shape = shape_of(hint)
    schema = _options_schema(shape)
    if shape.is_nullable or allow_null:
        schema = _or_null(schema)
    return schema | {"description": shape.description} if shape.description else schema


def _or_null(schema: JsonSchema) -> JsonSchema:
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    widened = schema | {"type": [schema["type"], "null"]}
    if "enum" in schema:
        widened["enum"] = [*schema["enum"], None]
    return widened


def _object_schema(kind: type[Body]) -> JsonSchema:
    properties: dict[str, JsonSchema] = {}
    required: list[str] = []
    tag = tag_of(kind)
    if tag is not None:
        properties[tag[0]] = {"type": "string", "const": tag[1]}
        required.append(tag[0])
    for info in members(kind):
        allow_null = kind.__null_is_missing__ and not info.required
        schema = _value_schema(info.type, allow_null=allow_null)
        properties[info.encode_name] = _with_default(schema, info)
        if info.required:
            required.append(info.encode_name)
    result: JsonSchema = {"type": "object", "properties": properties, "additionalProperties": False}
    # Only the class's own words: an inherited docstring is about the base.
    if kind.__dict__.get("__doc__"):
        result["description"] = inspect.cleandoc(kind.__dict__["__doc__"])
    if required:
        result["required"] = required
    if kind.__at_least_one__:
        result["minProperties"] = 1
    groups = [
        {"oneOf": [{"required": [member]} for member in group]} for group in kind.__exactly_one__
    ]
    return result | {"allOf": groups} if groups else result


def _with_default(schema: JsonSchema, info: FieldInfo) -> JsonSchema:
    if isinstance(info.default, str | bool | int):
        return schema | {"default": info.default}
    if info.default_factory is not msgspec.NODEFAULT and info.default_factory is list:
        return schema | {"default": []}
    return schema
