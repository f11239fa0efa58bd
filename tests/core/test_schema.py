"""The JSON Schema of request types says what the decoder does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from longlist.decoding import Body, compile
from longlist.decoding.schema import components, json_schema, query_parameters
from tests.core.request_types import (
    ID,
    AddProspects,
    CreateAudience,
    FileImport,
    ListAudiences,
    Message,
    UpdateAudience,
    Upload,
    error_of,
)

URL = "https://www.linkedin.com/in/ada-example"
BAD_NAMES: list[Any] = [
    None,
    1,
    True,
    [],
    {},
    "",
    " ",
    "\t\r\n",
    "\u3000",
    "\u2028",
    "\u200b",
    " \u200b\u200d ",
    "\u2060\ufeff",
    "\u00ad",
    "\u3164",
    "\u115f\u1160\uffa0",
    "\u2800",
    "\ufe0f",
    "\u0301",
    "x" * 256,
    "a\nb",
    "a\x00b",
    "a\x85b",
    "a\u2029b",
    "\u202ax",
    "a\u2066b\u2069",
]

SCHEMAS = components([UpdateAudience, CreateAudience, Upload | FileImport, Message, AddProspects])


def _validator(kind: Any) -> Draft202012Validator:
    document = {**json_schema(kind), "components": {"schemas": SCHEMAS}}
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


def test_schemas_of_every_struct_are_there() -> None:
    assert list(SCHEMAS) == [
        "AddProspects",
        "Company",
        "CreateAudience",
        "FileImport",
        "Message",
        "Row",
        "UpdateAudience",
        "Upload",
    ]
    assert all(schema["additionalProperties"] is False for schema in SCHEMAS.values())


def test_schema_of_a_patch() -> None:
    schema = SCHEMAS["UpdateAudience"]
    assert schema["description"] == "Changes the name, the description or both."
    assert schema["minProperties"] == 1
    assert "required" not in schema
    assert list(schema["properties"]) == ["name", "description"]
    assert schema["properties"]["name"]["maxLength"] == 255
    assert schema["properties"]["name"]["description"] == "Shown in every list."
    assert schema["properties"]["description"]["type"] == ["string", "null"]


def test_schema_of_a_union() -> None:
    assert json_schema(Upload | FileImport) == {
        "oneOf": [
            {"$ref": "#/components/schemas/Upload"},
            {"$ref": "#/components/schemas/FileImport"},
        ],
        "discriminator": {
            "propertyName": "type",
            "mapping": {
                "url_upload": "#/components/schemas/Upload",
                "file_import": "#/components/schemas/FileImport",
            },
        },
    }
    assert SCHEMAS["FileImport"]["properties"]["type"] == {"type": "string", "const": "file_import"}
    assert set(SCHEMAS["FileImport"]["required"]) == {"type", "fileId"}


@pytest.mark.parametrize(
    ("kind", "body", "is_valid"),
    [
        (UpdateAudience, {"name": "x", "description": None}, True),
        (UpdateAudience, {"name": "\u200bx"}, True),
        (UpdateAudience, {"name": "\u00e9"}, True),
        *((UpdateAudience, {"name": name}, False) for name in [*BAD_NAMES]),
        (UpdateAudience, {"name": "a\u202eb"}, False),
        (UpdateAudience, {"description": "a\x00"}, False),
        (UpdateAudience, {"folderId": ID}, False),
        (CreateAudience, {"name": "x", "type": "monitoring", "description": None}, True),
        (CreateAudience, {"name": "x", "type": None}, False),
        (CreateAudience, {"name": "x"}, False),
        (Upload | FileImport, {"type": "file_import", "fileId": ID, "audienceName": "x"}, True),
        (Upload | FileImport, {"type": "file_import", "fileId": ID}, False),
        (Upload | FileImport, {"type": "url_upload", "fileId": ID, "audienceName": "x"}, False),
        (
            Upload | FileImport,
            {"type": "url_upload", "profileUrls": [URL], "audienceName": "x", "dryRun": None},
            True,
        ),
        (
            Upload | FileImport,
            {"type": "url_upload", "profileUrls": ["x"], "audienceId": ID},
            False,
        ),
        (AddProspects, {"prospects": [{"company": {"name": None}}, {"company": None}]}, True),
        (AddProspects, {"prospects": []}, False),
        (AddProspects, {"prospects": [{"x": 1}]}, False),
        (Message, {"prospectIds": [ID], "message": "x", "folder": "none", "rotate": None}, True),
        (Message, {"prospectIds": [ID], "message": "x", "labels": None}, True),
        (Message, {"prospectIds": [ID, ID], "message": "x"}, False),
        (Message, {"prospectIds": [ID], "message": " \n"}, False),
        (Message, {"prospectIds": [ID], "message": "x", "at": "2026-03-04T05:06:07.089Z"}, True),
    ],
)
def test_schema_and_decoder_agree(kind: Any, body: dict[str, Any], is_valid: bool) -> None:
    assert _validator(kind).is_valid(body) is is_valid
    if is_valid:
        compile(kind).decode(body)
    else:
        error_of(compile(kind).decode, body)


def test_two_types_of_one_name_are_refused() -> None:
    other = msgspec.defstruct("Row", [], bases=(Body,))
    with pytest.raises(TypeError):
        components([AddProspects, other])


def test_query_parameters() -> None:
    parameters = {parameter["name"]: parameter for parameter in query_parameters(ListAudiences)}
    assert parameters["limit"] == {
        "name": "limit",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
    }
    assert parameters["q"]["description"] == "Text the name holds."
    assert parameters["folderId"]["schema"] == {
        "anyOf": [
            {"type": "string", "enum": ["none"]},
            {"type": "string", "pattern": "^[0-9a-f]{24}$"},
        ]
    }
    assert parameters["kinds"]["explode"] is False
    assert parameters["ungroup"]["schema"] == {"type": "boolean", "default": False}
