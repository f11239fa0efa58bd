"""Saved searches and lead lists of Sales Navigator (contract 7.3)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from longlist.prospecting import source_routes
from tests.harness import logs
from tests.harness.tenant import Tenant
from tests.prospecting.scripted import TOKEN, registered, set_up

SEARCHES = "AG/sales-navigator/saved-searches"
LISTS = "AG/sales-navigator/lead-lists"
both = pytest.mark.parametrize("target", [SEARCHES, LISTS])


@pytest.fixture(autouse=True)
def _providers() -> Iterator[None]:
    with registered():
        yield


def test_what_the_provider_lists(api: Tenant) -> None:
    set_up(api)
    # An id that could not be sent back is left out.
    expected = {"items": [{"id": "1963248801", "name": "CTOs"}]}
    assert api.get(SEARCHES).expect(200).data == expected
    assert api.get(LISTS).expect(200).data == {"items": []}


@both
def test_without_a_provider(api: Tenant, stranger: Tenant, target: str) -> None:
    set_up(stranger)
    api.get(target).expect(422, "SOURCE_NOT_CONFIGURED")
    set_up(api, "rival", name="Serves something else")
    api.get(target).expect(422, "SOURCE_NOT_CONFIGURED")


@both
def test_a_parameter_is_refused_before_the_provider_is_looked_for(api: Tenant, target: str) -> None:
    api.get(f"{target}?limit=5").expect(400, "VALIDATION_ERROR")


@both
def test_a_provider_that_fails(api: Tenant, target: str) -> None:
    set_up(api, settings={"does": "fails"})
    answer = api.get(target).expect(502, "UPSTREAM_ERROR")
    assert answer.error["context"] == {"provider": "scripted", "retryAfterSeconds": 7}
    assert "closed" not in str(answer.error)


@both
def test_a_provider_that_breaks_tells_nothing(api: Tenant, target: str) -> None:
    set_up(api, settings={"does": "breaks"})
    answer = api.get(target).expect(502, "UPSTREAM_ERROR")
    assert answer.error["context"] == {"provider": "scripted"}
    lines = logs.of(answer.headers["x-trace-id"])
    assert "RuntimeError at scripted.py" in str(lines)
    assert TOKEN not in str(lines)
    assert "ada@example.com" not in str(lines)


@both
def test_a_provider_that_hangs_is_left(
    api: Tenant, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setattr(source_routes, "TIMEOUT_S", 0.05)
    set_up(api, settings={"does": "hangs"})
    answer = api.get(target).expect(502, "UPSTREAM_ERROR")
    assert answer.error["context"] == {"provider": "scripted"}


@both
def test_a_token_that_cannot_be_read(api: Tenant, target: str) -> None:
    made = set_up(api)
    api.server.change(("UPDATE sources SET settings = '{}  ' WHERE id = $1", made.id))
    answer = api.get(target).expect(502, "UPSTREAM_ERROR")
    assert "context" not in answer.error
