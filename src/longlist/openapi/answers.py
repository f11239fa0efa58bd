"""JSON Schema of what the server sends, made from the answer types of the operations.

An answer is closed: every member is named, and every member is always there unless its type has
UNSET. Of a plain `str` or `int` the type alone says too little, so its name decides what more is
known of it, by the naming rules of the API; `msgspec.Meta` in an annotation says it outright.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, Final, get_args, get_origin

from msgspec import NODEFAULT
from msgspec import inspect as kinds

from longlist.decoding import Body
from longlist.decoding.rules import HexId, Timestamp, VisibleAscii

Schema = dict[str, Any]

REF: Final = "#/components/schemas/"
TRACE_ID: Final = "^[0-9a-f]{32}$"
ID: Final = HexId().schema()
TIME: Final = Timestamp().schema()

# Names that end as those of ids do, but are another system's.
_FOREIGN_IDS: Final = {"providerId": VisibleAscii(max=128).schema()}
_SECTION: Final = re.compile(r" \(contract [^)]*\)")


def named_text(name: str) -> Schema:
    """The schema of a string member or path parameter, as far as its name tells."""
    if name in _FOREIGN_IDS:
        return dict(_FOREIGN_IDS[name])
    if name == "id" or name.endswith("Id"):
        return dict(ID)
    if name == "since" or name.endswith("At"):
        return dict(TIME)
    return {"type": "string"}


def described(docstring: str | None) -> str:
    """A docstring as a description: no references to sections its reader does not have."""
    return _SECTION.sub("", inspect.cleandoc(docstring or ""))


class AnswerSchemas:
    """Gathers the structs of the answers asked for, by name."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}
        self._owners: dict[str, Any] = {}

    def of(self, answer: Any) -> Schema:
        """The schema of an answer type. Raises TypeError for what JSON answers do not have."""
        return self._kind(kinds.type_info(answer), "")

    def _kind(self, kind: kinds.Type, name: str) -> Schema:
        match kind:
            case kinds.StructType(cls=cls) if issubclass(get_origin(cls) or cls, Body):
                # Shown back as it was sent: its schema is among those of the requests.
                return {"$ref": REF + cls.__name__}
            case kinds.StructType():
                return {"$ref": REF + self._struct(kind)}
            case kinds.UnionType():
                return self._union(kind, name)
            case kinds.ListType() | kinds.CollectionType():
                return {"type": "array", "items": self._kind(kind.item_type, name)}
            case kinds.DictType():
                return {
                    "type": "object",
                    "additionalProperties": self._kind(kind.value_type, ""),
                }
            case kinds.AnyType() | kinds.RawType():
                return {}
            case _:
                return self._plain(kind, name)

    @staticmethod
    def _plain(kind: kinds.Type, name: str) -> Schema:
        match kind:
            case kinds.Metadata(type=inner, extra_json_schema=extra):
                return AnswerSchemas._plain(inner, name) | (extra or {})
            case kinds.LiteralType(values=values):
                kind_of_values = "boolean" if isinstance(values[0], bool) else "string"
                return {"type": kind_of_values, "enum": list(values)}
            case kinds.StrType(pattern=None):
                return named_text(name)
            case kinds.StrType(pattern=pattern):
                return {"type": "string", "pattern": pattern}
            case kinds.BoolType():
                return {"type": "boolean"}
            case kinds.IntType(ge=least):
                # Counts, sizes and positions: the API has no negative number.
                return {"type": "integer", "minimum": least or 0}
            case kinds.FloatType():
                bounds = {"minimum": 0, "maximum": 1} if name == "progress" else {}
                return {"type": "number", **bounds}
        raise TypeError(f"an answer has {kind!r}")

    def _union(self, kind: kinds.UnionType, name: str) -> Schema:
        options = [self._kind(part, name) for part in kind.types if part != kinds.NoneType()]
        is_nullable = len(options) < len(kind.types)
        if len(options) == 1 and is_nullable and "type" in options[0]:
            only = options[0] | {"type": [options[0]["type"], "null"]}
            if "enum" in only:
                only["enum"] = [*only["enum"], None]
            return only
        return {"anyOf": [*options, {"type": "null"}] if is_nullable else options}

    def _struct(self, kind: kinds.StructType) -> str:
        name = _name_of(kind.cls)
        if self._owners.setdefault(name, kind.cls) != kind.cls:
            raise TypeError(f"two answer types are named {name}")
        if name in self.components:
            return name
        # Entered before its members, since one of them may be of the same type.
        schema = self.components[name] = {"type": "object"}
        properties: dict[str, Schema] = {}
        if kind.tag_field is not None:
            properties[kind.tag_field] = {"type": "string", "const": kind.tag}
        for field in kind.fields:
            properties[field.encode_name] = self._kind(field.type, field.encode_name)
        required = [*([kind.tag_field] if kind.tag_field else []), *_always_there(kind)]
        origin = get_origin(kind.cls) or kind.cls
        if description := described(origin.__dict__.get("__doc__")):
            schema["description"] = description
        schema |= {
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }
        return name


def _always_there(kind: kinds.StructType) -> Iterator[str]:
    for field in kind.fields:
        can_be_unset = (
            not field.required and field.default is NODEFAULT and field.default_factory is NODEFAULT
        )
        if not can_be_unset:
            yield field.encode_name


def _name_of(struct: Any) -> str:
    """`Page[Prospect]` is `ProspectPage`."""
    inner = "".join(_name_of(part) for part in get_args(struct))
    return f"{inner}{(get_origin(struct) or struct).__name__}"


def envelope(data: Schema) -> Schema:
    """The success envelope around `data`."""
    return _closed(
        {
            "success": {"type": "boolean", "const": True},
            "data": data,
            "error": {"type": "null"},
            "traceId": {"$ref": REF + "TraceId"},
        }
    )


def _closed(properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


_SENTENCE: Schema = {"type": "string", "minLength": 1}


def _error_schema(codes: list[str]) -> Schema:
    return {
        "description": "What went wrong and what to do.",
        **_closed(
            {
                "code": {"type": "string", "enum": codes},
                "message": _SENTENCE | {"description": "One sentence: what went wrong."},
                "details": _SENTENCE | {"description": "One sentence: what to do."},
                "issues": {
                    "type": "array",
                    "items": {"$ref": REF + "Issue"},
                    "minItems": 1,
                    "maxItems": 50,
                    "description": "On 400 and 422, where members can be named. When there are"
                    " more than 50, `context.issuesTotal` has their number.",
                },
                "context": {
                    "type": "object",
                    "description": "Facts for programs; which ones depends on the code.",
                },
            },
            optional=("issues", "context"),
        ),
    }


def error_schemas(codes: list[str]) -> dict[str, Schema]:
    """The error envelope and its parts; `codes` are all there are."""
    return {
        "TraceId": {
            "type": "string",
            "pattern": TRACE_ID,
            "description": "The trace id of this request; equal to the X-Trace-Id header.",
        },
        "Issue": {
            "description": "One thing wrong with one member of the request.",
            **_closed(
                {
                    "field": {
                        "type": "string",
                        "description": "A path such as `name`, `profileUrls[3]`, `query.limit` or"
                        " `path.audienceId`; empty for the whole body.",
                    },
                    "code": {"type": "string", "pattern": "^[a-z]+(_[a-z]+)*$"},
                    "message": _SENTENCE,
                }
            ),
        },
        "Error": _error_schema(codes),
        "ErrorResponse": {
            "description": "The answer to a request that did not succeed.",
            **_closed(
                {
                    "success": {"type": "boolean", "const": False},
                    "data": {"type": "null"},
                    "error": {"$ref": REF + "Error"},
                    "traceId": {"$ref": REF + "TraceId"},
                }
            ),
        },
        "ValidationErrorResponse": {
            "description": "An ErrorResponse whose code is VALIDATION_ERROR.",
            "allOf": [{"$ref": REF + "ErrorResponse"}],
            **codes_of(("VALIDATION_ERROR",)),
        },
    }


def codes_of(codes: tuple[str, ...]) -> Schema:
    """Narrows an ErrorResponse to these codes."""
    code: Schema = {"const": codes[0]} if len(codes) == 1 else {"enum": list(codes)}
    return {"properties": {"error": {"properties": {"code": code}}}}
