"""Sources and monitors: set up by hand, and what happens when they do not answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from longlist.admin.source_pages import OF_THE_SERVER
from longlist.prospecting import source_store
from longlist.prospecting.sources import registry
from longlist.prospecting.sources.unipile.double import ACCOUNT_ID, TOKEN, Double, in_thread
from longlist.prospecting.sources.unipile.double_faults import Fault
from tests.admin.visitor import Visitor
from tests.harness.tenant import Tenant

SEARCH = "https://www.linkedin.com/search/results/people/?keywords=revops"


def base(api: Tenant) -> str:
    return f"/admin/g/{api.group.hex()}"


@pytest.fixture(scope="module")
def double() -> Iterator[Double]:
    with in_thread(Double(count=5)) as running:
        yield running


def form_of(double: Double, **more: str) -> dict[str, str]:
    return {
        "provider": "unipile",
        "name": "LinkedIn",
        "set.base_url": double.base_url,
        "set.account_id": ACCOUNT_ID,
        "token": TOKEN,
        **more,
    }


def add(visitor: Visitor, api: Tenant, double: Double) -> str:
    """A source that is set up; the path below which its pages are."""
    visitor.post(f"{base(api)}/sources/new", form_of(double)).expect(303)
    found = re.findall(r'href="([^"]*/sources/[0-9a-f]{24})/remove"',
                       visitor.get(f"{base(api)}/sources").text)  # fmt: skip
    return str(found[-1])


def test_a_source_is_added_tested_given_another_token_and_removed(
    visitor: Visitor, api: Tenant, stranger: Tenant, double: Double
) -> None:
    url = f"{base(api)}/sources"
    assert "No source yet" in visitor.get(url).plain
    assert 'name="set.account_id"' in visitor.get(f"{url}/new", htmx=True).text
    one = add(visitor, api, double)
    page = visitor.get(f"{url}?note=added")
    assert "The source is added" in page.plain
    assert "set, encrypted" in page.plain
    assert TOKEN not in page.text
    answer = visitor.post(f"{one}/test", htmx=True).expect(200)
    assert "LinkedIn account is connected" in answer.plain

    visitor.get(f"{one}/token", htmx=True).expect(200)
    visitor.post(f"{one}/token", {"token": "two words"}, htmx=True).expect(400)
    assert visitor.post(f"{one}/token", {"token": "another"}).to == f"{url}?note=token"
    refused = visitor.post(f"{one}/test", htmx=True).expect(502)
    assert "another" not in refused.text
    visitor.post(f"{one}/token", {"token": TOKEN}).expect(303)
    visitor.post(f"{one}/test", htmx=True).expect(200)

    theirs = one.replace(api.group.hex(), stranger.group.hex())
    for part in ("test", "token", "remove"):
        visitor.post(f"{theirs}/{part}", {"token": "x"}).expect(404)
    assert "token is forgotten" in visitor.get(f"{one}/remove", htmx=True).plain
    assert visitor.post(f"{one}/remove").to == f"{url}?note=removed"
    visitor.post(f"{one}/remove").expect(404)
    assert visitor.server.write(source_store.list_all, group=api.group) == []
    acts = visitor.get("/admin/audit").plain
    for told in ("Added a source LinkedIn, ", "Gave a source another token", "Removed a source"):
        assert told in acts
    assert TOKEN not in acts


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"provider": "nobody"}, "Choose a provider"),
        ({"provider": "directory"}, "Choose a provider"),
        ({"name": " "}, "name cannot be used"),
        ({"token": ""}, "needs a token"),
        ({"token": "a\u00e9"}, "visible ASCII"),
        ({"set.base_url": "http://example.com"}, "https://"),
        ({"set.account_id": ""}, "account_id"),
    ],
)
def test_a_source_with_something_wrong_is_not_added(
    visitor: Visitor, api: Tenant, double: Double, wrong: dict[str, str], told: str
) -> None:
    form = form_of(double, **wrong)
    answer = visitor.post(f"{base(api)}/sources/new", form, htmx=True).expect(400)
    assert told in answer.plain
    assert visitor.server.write(source_store.list_all, group=api.group) == []


def test_a_second_source_for_the_same_jobs_is_refused(
    visitor: Visitor, api: Tenant, double: Double
) -> None:
    add(visitor, api, double)
    form = form_of(double, name="Another")
    answer = visitor.post(f"{base(api)}/sources/new", form, htmx=True).expect(400)
    assert "is set up in this account group already" in answer.plain


def test_what_the_service_does_wrong_is_told_and_changes_nothing(
    visitor: Visitor, api: Tenant, double: Double
) -> None:
    one = add(visitor, api, double)
    double.faults.set([Fault("rate_limit", "account", retry_after="7")])
    try:
        answer = visitor.post(f"{one}/test", htmx=True).expect(502)
    finally:
        double.faults.set([])
    assert "Try again in 7 s" in answer.plain
    visitor.post(f"{one}/test", htmx=True).expect(200)


class Loads:
    """A provider that cannot take in what it should, and one that breaks."""

    serves = frozenset({"directory_search"})
    needs_token = False
    several = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.forgot: list[bytes] = []

    def check(self, settings: Any) -> dict[str, str]:
        return dict(settings)

    async def load(self, installation: Any, group: bytes, set_up: Any) -> str:
        raise RuntimeError(f"secret of {set_up.name}")

    async def test(self, installation: Any, group: bytes, set_up: Any) -> str:
        return "It answers."

    def open(self, *args: Any) -> Any:
        raise NotImplementedError

    async def forget(self, installation: Any, group: bytes, set_up: Any) -> None:
        self.forgot.append(set_up.id)


def test_a_source_that_cannot_be_loaded_is_taken_out_again(
    visitor: Visitor, api: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Loads("shelf")
    monkeypatch.setattr(registry, "names", lambda: ["directory", "shelf", "unipile"])
    monkeypatch.setattr(registry, "find", {"shelf": provider, "unipile": provider}.get)
    choice = visitor.get(f"{base(api)}/sources/new", htmx=True).text
    assert "provider=shelf" in choice
    assert not any(f"provider={name}" in choice for name in OF_THE_SERVER)
    form = {"provider": "shelf", "name": "Shelf", "settings": "a=1\r\n b = 2 \n"}
    answer = visitor.post(f"{base(api)}/sources/new", form, htmx=True).expect(502)
    assert "shelf broke" in answer.plain
    assert "secret" not in answer.text
    assert len(provider.forgot) == 1
    assert visitor.server.write(source_store.list_all, group=api.group) == []
    visitor.post(f"{base(api)}/sources/new", {**form, "settings": "no equals"}, htmx=True).expect(
        400
    )


def test_a_source_whose_provider_is_gone_says_so(
    visitor: Visitor, api: Tenant, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = add(visitor, api, double)
    monkeypatch.setattr(registry, "find", {}.get)
    assert "not installed, or broken" in visitor.get(f"{base(api)}/sources").plain
    visitor.post(f"{one}/test", htmx=True).expect(502)
    visitor.post(f"{one}/remove").expect(303)


def monitored(api: Tenant, name: str = "Watched", **more: Any) -> str:
    """An audience with a monitor; its id."""
    id_ = api.audience(name, "monitoring")["id"]
    source = {"type": "linkedin_search", "searchUrl": SEARCH}
    body = {"source": source, "intervalMinutes": 1440, **more}
    api.send("PUT", f"AG/audiences/{id_}/monitor", json=body).expect(200)
    return str(id_)


def test_monitors_are_listed_paused_resumed_and_removed(
    visitor: Visitor, api: Tenant, stranger: Tenant, double: Double
) -> None:
    url = f"{base(api)}/monitors"
    assert "No monitor yet" in visitor.get(url).plain
    source = add(visitor, api, double)
    id_ = monitored(api)
    page = visitor.get(url).plain
    for told in ("Watched", "LinkedIn search", SEARCH, "every day", "not yet"):
        assert told in page
    assert f"{base(api)}/monitors" in visitor.get(f"{base(api)}/audiences/{id_}").text

    theirs = f"{base(stranger)}/monitors/{id_}"
    for part in ("pause", "resume", "remove"):
        visitor.post(f"{theirs}/{part}").expect(404)
    assert visitor.post(f"{url}/{id_}/pause").to == f"{url}?note=paused"
    monitor = api.get(f"AG/audiences/{id_}/monitor").data
    assert (monitor["enabled"], monitor["nextRunAt"]) == (False, None)
    assert "Paused" in visitor.get(url).plain
    visitor.post(f"{url}/{id_}/pause").expect(303)
    visitor.post(f"{url}/{id_}/resume").expect(303)
    assert api.get(f"AG/audiences/{id_}/monitor").data["nextRunAt"] is not None

    # Without a source a monitor can be paused, and not resumed.
    visitor.post(f"{source}/remove").expect(303)
    visitor.post(f"{url}/{id_}/pause").expect(303)
    refused = visitor.post(f"{url}/{id_}/resume", htmx=True).expect(422)
    assert api.get(f"AG/audiences/{id_}/monitor").data["enabled"] is False
    assert refused.plain
    visitor.get(f"{url}/{id_}/remove", htmx=True).expect(200)
    assert visitor.post(f"{url}/{id_}/remove").to == f"{url}?note=removed"
    api.get(f"AG/audiences/{id_}/monitor").expect(404)
    visitor.get(f"{url}/{id_}/remove", htmx=True).expect(404)


def test_monitors_are_read_page_by_page(visitor: Visitor, api: Tenant, double: Double) -> None:
    add(visitor, api, double)
    for n in range(53):
        monitored(api, f"Watched {n}.", enabled=False, intervalMinutes=15)
    first = visitor.get(f"{base(api)}/monitors")
    more = re.findall(r'hx-get="([^"]*cursor=[^"]*)"', first.text)
    second = visitor.get(more[0].replace("&amp;", "&"), htmx=True)
    found = re.findall(r">Watched (\d+)\.</a>", first.text + second.text)
    assert [int(n) for n in found] == list(reversed(range(53)))
    assert "every 15 min" in first.plain
