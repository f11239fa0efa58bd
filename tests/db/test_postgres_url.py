"""One URL for asyncpg and SQLAlchemy, also with several servers."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from longlist.db.postgres import sqlalchemy_url


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        ("postgresql://u:p%40x@a/d", {"host": ["a"]}),
        ("postgres://u:p%40x@a:5433/d", {"host": ["a"], "port": ["5433"]}),
        ("postgresql://u:p%40x@a,b/d", {"host": ["a,b"], "port": [","]}),
        (
            "postgresql://u:p%40x@a:5432,b:5433/d?target_session_attrs=read-write",
            {"host": ["a,b"], "port": ["5432,5433"], "target_session_attrs": ["read-write"]},
        ),
        ("postgresql://u:p%40x@/d?host=/run/x", {"host": ["/run/x"]}),
    ],
)
def test_every_server_is_named(given: str, hosts: dict[str, list[str]]) -> None:
    url = make_url(sqlalchemy_url(given))
    assert url.drivername == "postgresql+psycopg"
    _, arguments = url.get_dialect()().create_connect_args(url)
    own = {"user": "u", "password": "p@x", "dbname": "d"}
    assert {name: str(value) for name, value in arguments.items() if name != "context"} == own | {
        name: value[0] for name, value in hosts.items()
    }
