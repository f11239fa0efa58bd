"""The provider `unipile`: settings, test, lists, sources; and the double as a program."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import httpx2
import pytest

from longlist.prospecting.sources import registry
from longlist.prospecting.sources.kept import (
    KeptCommenters,
    KeptDirectory,
    KeptNavigator,
    KeptSearch,
    KeptUrls,
    Wanted,
)
from longlist.prospecting.sources.providers import Listed, ListsNavigator, ProviderFailed, SetUp
from longlist.prospecting.sources.unipile import double as double_module
from longlist.prospecting.sources.unipile.double import Double, in_thread, running
from longlist.prospecting.sources.unipile.double_faults import Fault
from longlist.prospecting.sources.unipile.provider import PROVIDER, UnipileProvider
from tests.prospecting.unipile_double import SEARCH_URL, Place, Time, ended, outcomes, with_double

NO_INSTALLATION: Any = None
GROUP = b"g" * 12


def set_up_of(double: Double, **changes: Any) -> SetUp:
    settings = {"base_url": double.base_url, "account_id": double.account_id}
    return SetUp(b"s" * 12, "LinkedIn", "unipile", settings, changes.get("token", double.token))


def provider_of(place: Place) -> UnipileProvider:
    return UnipileProvider(place.pace, place.time.pace(tries=2))


def test_it_is_among_the_providers() -> None:
    assert registry.find("unipile") is PROVIDER
    assert isinstance(PROVIDER, ListsNavigator)
    assert PROVIDER.serves == {
        "linkedin_search", "sales_navigator", "post_commenters", "url_upload",
    }  # fmt: skip
    assert (PROVIDER.needs_token, PROVIDER.several) == (True, False)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://api1.unipile.com:13111", "https://api1.unipile.com:13111"),
        ("api1.unipile.com:13111", "https://api1.unipile.com:13111"),
        (" https://API1.Unipile.com:13111/ ", "https://api1.unipile.com:13111"),
        ("https://api1.unipile.com:13111/api/v1/", "https://api1.unipile.com:13111"),
        ("https://api1.unipile.com", "https://api1.unipile.com"),
        ("http://127.0.0.1:8099", "http://127.0.0.1:8099"),
        ("http://[::1]:8099", "http://[::1]:8099"),
        ("http://unipile:8099", "http://unipile:8099"),
        ("http://10.0.0.7", "http://10.0.0.7"),
    ],
)
def test_addresses_that_are_taken(given: str, kept: str) -> None:
    settings = {"base_url": given, "account_id": " 3H-KVe_mQ "}
    assert PROVIDER.check(settings) == {"base_url": kept, "account_id": "3H-KVe_mQ"}


@pytest.mark.parametrize(
    "given",
    [
        "",
        "http://api1.unipile.com:13111",
        "http://169.254.169.254",
        "ftp://127.0.0.1",
        "https://user:secret@api1.unipile.com",
        "https://api1.unipile.com/somewhere",
        "https://api1.unipile.com?x=1",
        "https://api1.unipile.com#x",
        "https://api1.unipile.com:port",
        "https://api1.unipile.com:99999",
        "https://",
        "https://a b",
        "https://\u0131nipile.com",
        "file:///etc/passwd",
    ],
)
def test_addresses_that_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        PROVIDER.check({"base_url": given, "account_id": "x"})


@pytest.mark.parametrize("account_id", ["", "a b", "a/b", "..", "x" * 129, "\u00e9"])
def test_account_ids_that_are_refused(account_id: str) -> None:
    with pytest.raises(ValueError, match="account_id"):
        PROVIDER.check({"base_url": "api1.unipile.com", "account_id": account_id})


def test_settings_that_are_missing_or_unknown_are_refused() -> None:
    with pytest.raises(ValueError, match="account_id"):
        PROVIDER.check({"base_url": "api1.unipile.com"})
    with pytest.raises(ValueError, match="base_url"):
        PROVIDER.check({"account_id": "x"})
    with pytest.raises(ValueError, match="no other"):
        PROVIDER.check({"base_url": "api1.unipile.com", "account_id": "x", "dsn": "y"})


def test_the_test_looks_the_account_up_and_nothing_else() -> None:
    async def body(place: Place) -> str:
        said = await provider_of(place).test(NO_INSTALLATION, GROUP, set_up_of(place.double))
        assert place.double.calls == {"account": 1}
        return said

    assert with_double(body) == (
        "Unipile answers; the LinkedIn account is connected and has Sales Navigator."
    )


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"type": "WHATSAPP"}, "not a LinkedIn account"),
        ({"sources": [{"id": "x", "status": "CREDENTIALS"}]}, "connected again"),
        ({"sources": [{"status": "OK"}, {"status": "STOPPED"}]}, "stopped"),
        ({"sources": [{"status": "Ada"}]}, "not known here"),
        ({"sources": ["OK"]}, "not known here"),
    ],
)
def test_an_account_that_does_not_work_fails_the_test(
    changes: dict[str, Any], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(place: Place) -> str:
        account = place.double._account()
        monkeypatch.setattr(place.double, "_account", lambda: {**account, **changes})
        with pytest.raises(ProviderFailed) as caught:
            await provider_of(place).test(NO_INSTALLATION, GROUP, set_up_of(place.double))
        return str(caught.value)

    said = with_double(body)
    assert word in said
    assert "Ada" not in said


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (Fault("session_expired"), "connect it again"),
        (Fault("error"), "error of its own"),
        (Fault("html"), "not JSON"),
        (Fault("reset"), "could not be reached"),
        (Fault("redirect"), "base_url"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
@pytest.mark.parametrize("call", ["test", "saved_searches", "lead_lists"])
def test_every_fault_is_told_to_the_operator(fault: Fault, word: str, call: str) -> None:
    async def body(place: Place) -> ProviderFailed:
        place.double.set_faults(fault)
        provider = provider_of(place)
        with pytest.raises(ProviderFailed) as caught:
            await getattr(provider, call)(NO_INSTALLATION, GROUP, set_up_of(place.double))
        return caught.value

    failure = with_double(body)
    assert word in str(failure)
    assert "Ada" not in str(failure)


def test_when_to_come_back_is_passed_on() -> None:
    async def body(place: Place) -> int | None:
        place.double.set_faults(Fault("rate_limit", retry_after="90"))
        with pytest.raises(ProviderFailed) as caught:
            await provider_of(place).lead_lists(NO_INSTALLATION, GROUP, set_up_of(place.double))
        return caught.value.retry_after_s

    assert with_double(body) == 90


@pytest.mark.parametrize("token", ["wrong", None, "a\nb"])
def test_a_wrong_token_is_told_to_the_operator(token: str | None) -> None:
    async def body(place: Place) -> str:
        set_up = set_up_of(place.double, token=token)
        with pytest.raises(ProviderFailed) as caught:
            await provider_of(place).test(NO_INSTALLATION, GROUP, set_up)
        return str(caught.value)

    assert "token" in with_double(body)


def test_the_lists_of_sales_navigator() -> None:
    async def body(place: Place) -> None:
        provider, set_up = provider_of(place), set_up_of(place.double)
        searches = await provider.saved_searches(NO_INSTALLATION, GROUP, set_up)
        lists = await provider.lead_lists(NO_INSTALLATION, GROUP, set_up)
        double = place.double
        assert searches == [Listed(*entry) for entry in double.saved_searches().items()]
        assert lists == [Listed(*entry) for entry in double.lead_lists().items()]

    with_double(body)


def test_an_entry_that_cannot_be_read_fails_the_list() -> None:
    async def body(place: Place) -> str:
        place.double.set_faults(Fault("not_objects", "parameters"))
        with pytest.raises(ProviderFailed) as caught:
            await provider_of(place).lead_lists(NO_INSTALLATION, GROUP, set_up_of(place.double))
        return str(caught.value)

    assert "shape" in with_double(body)


POST_URL = Double().post_url()


@pytest.mark.parametrize(
    ("wanted", "route"),
    [
        (KeptSearch(SEARCH_URL, 4), "search"),
        (KeptNavigator(4, saved_search_id="50001"), "search"),
        (KeptNavigator(4, lead_list_id="70002"), "search"),
        (KeptCommenters(POST_URL, 4), "comments"),
        (KeptUrls([who.page for who in Double().people[:4]]), "profile"),
    ],
)
def test_each_kind_of_job_has_its_source(wanted: Wanted, route: str) -> None:
    async def body(place: Place) -> None:
        set_ups = [set_up_of(place.double)]
        source = provider_of(place).open(NO_INSTALLATION, GROUP, set_ups, wanted, 400)
        assert place.double.calls == {}
        rows, failure = await ended(source)
        assert failure is None
        assert outcomes(rows) == [None] * 4
        assert place.double.calls[route] >= 1

    with_double(body)


def test_a_kind_that_is_not_served_is_a_fault_of_the_caller() -> None:
    set_up = SetUp(b"s" * 12, "LinkedIn", "unipile", {}, "t")
    with pytest.raises(TypeError):
        PROVIDER.open(NO_INSTALLATION, GROUP, [set_up], KeptDirectory("cto", 5), 400)


def test_the_double_runs_as_a_program() -> None:
    command = [sys.executable, "-m", double_module.__name__, "--people", "3", "--token", "t"]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    try:
        base_url = program.stdout.readline().strip()
        with httpx2.Client(base_url=base_url, trust_env=False) as http:
            params = {"account_id": double_module.ACCOUNT_ID}
            search = ("POST", "/api/v1/linkedin/search")
            body, key = {"url": SEARCH_URL}, {"X-API-KEY": "t"}
            found = http.request(*search, params=params, json=body, headers=key)
            assert len(found.json()["items"]) == 3
            faults = http.put("/double/faults", json=[{"kind": "rate_limit", "times": 1}])
            assert faults.status_code == 200
            for status in (429, 200):
                answer = http.request(*search, params=params, json=body, headers=key)
                assert answer.status_code == status
            assert http.get("/double/calls").json() == {"search": 3}
            assert http.request("DELETE", "/double/calls").status_code == 200
            assert http.get("/double/calls").json() == {}
            assert http.put("/double/faults", json=[{"kind": "none such"}]).status_code == 400
            assert http.request(*search, params=params, json=body).status_code == 401
            assert http.get("/api/v1/other", headers=key).status_code == 404
    finally:
        program.terminate()
        program.wait(10)
        program.stdout.close()


def test_the_double_runs_in_a_thread() -> None:
    with in_thread(Double(count=2)) as double:
        provider = UnipileProvider(Time().pace())
        set_up = set_up_of(double)
        wanted = KeptSearch(SEARCH_URL, 10)
        source = provider.open(NO_INSTALLATION, GROUP, [set_up], wanted, 10)
        rows, failure = asyncio.run(ended(source))
        assert (len(rows), failure) == (2, None)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(double.base_url, trust_env=False)


def test_the_double_is_the_same_for_the_same_seed() -> None:
    assert Double(seed=3).people == Double(seed=3).people
    assert Double(seed=3).people != Double(seed=4).people
    assert len({who.id for who in Double(count=500).people}) == 500
    assert len({who.slug for who in Double(count=500).people}) == 500


def test_the_double_pages_by_its_cursor() -> None:
    async def main() -> list[int]:
        async with running(Double(count=5)) as double, httpx2.AsyncClient(trust_env=False) as http:
            url = f"{double.base_url}/api/v1/linkedin/search"
            params = {"account_id": double.account_id, "limit": "2"}
            sizes = []
            while True:
                answer = await http.post(
                    url,
                    params=params,
                    json={"url": SEARCH_URL},
                    headers={"X-API-KEY": double.token},
                )
                found = answer.json()
                sizes.append(len(found["items"]))
                if found["cursor"] is None:
                    return sizes
                params["cursor"] = found["cursor"]

    assert asyncio.run(main()) == [2, 2, 1]
