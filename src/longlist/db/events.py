"""The event row of a Change: a second statement on SQLite, part of the first on PostgreSQL."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from longlist.db import Change, Column, Row
from longlist.ids import rfc3339

INSERT: Final = (
    "INSERT INTO events (account_group_id, id, type, created_at, resource_id, data)"
    " VALUES ($1, $2, $3, $4, $5, $6)"
)
_encode: Final = msgspec.json.Encoder().encode

_TO_JSON_SQL: Final = {
    "id": "encode({c}, 'hex')",
    "text": "{c}",
    "integer": "{c}",
    "boolean": "{c} <> 0",
    "time": (
        "to_char(to_timestamp({c} / 1000.0) AT TIME ZONE 'UTC',"
        ' \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')'
    ),
}


def _value(column: Column, value: Any) -> Any:
    if value is None:
        return None
    match column.kind:
        case "id":
            return value.hex()
        case "boolean":
            return bool(value)
        case "time":
            return rfc3339(value)
        case _:
            return value


def data_of(change: Change, row: Row) -> str:
    """The event's `data` as JSON text, from the row that the change returned."""
    return _encode(
        {column.member: _value(column, row[at]) for at, column in enumerate(change.columns)}
    ).decode()


def one_statement(change: Change, parameters: int) -> str:
    """The change and its event as one PostgreSQL statement.

    `parameters` is the number of the change's own; the event's id, and its time in milliseconds,
    are the two that follow. The last column is the event's id. A part of WITH that nothing reads
    is still run to its end.
    """
    members = ", ".join(
        f"'{column.member}', {_TO_JSON_SQL[column.kind].format(c='changed.' + column.sql)}"
        for column in change.columns
    )
    event_id = f"CAST(${parameters + 1} AS bytea)"
    return (
        f"WITH changed AS ({change.sql}), logged AS ("
        "INSERT INTO events (account_group_id, id, type, created_at, resource_id, data)"
        f" SELECT $1, {event_id}, '{change.event}',"
        f" CAST(${parameters + 2} AS bigint),"
        f" changed.{change.columns[0].sql}, json_build_object({members})::text FROM changed)"
        f" SELECT {change.returning}, {event_id} FROM changed"
    )
