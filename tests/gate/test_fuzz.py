"""Hostile requests: whatever is sent, the contract names the answer, and it is no 5xx."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_from_bytes

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness.answer import Answer
from tests.harness.tenant import Tenant

EXAMPLES = settings(
    max_examples=250,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def examples(api: Tenant) -> settings:
    """All of them on SQLite, and on PostgreSQL the first of the same: what reads them is shared."""
    return settings(EXAMPLES, max_examples=100) if api.server.settings.uses_postgres else EXAMPLES


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(max_size=40)
    | st.sampled_from(
        ["\x00", "\ud800", "\u202e", "\u200b", "'; --", "{{7*7}}", "${x}", "\U0001f600" * 60]
    )
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
)
names = st.sampled_from(
    ["name", "description", "id", "type", "folderId", "prospects", "x"]
) | st.text(max_size=6)
updates = st.dictionaries(names, values, max_size=5)
FIELDS = [
    "prospectId", "firstName", "lastName", "name", "headline", "about", "photoUrl", "linkedinUrl",
    "publicIdentifier", "providerId", "title", "location", "email", "phone",
]  # fmt: skip
texts = st.text(max_size=60) | st.sampled_from(
    [
        "ada@example.com",
        "https://www.linkedin.com/in/ada",
        "linkedin.com/in/%E4%BD%A0",
        "P-1",
        "a@b",
        "//",
        "http://[",
    ]
)
companies = st.dictionaries(
    st.sampled_from(["name", "domain", "website", "linkedinUrl", "size"]), texts, max_size=3
)
people = st.lists(
    st.dictionaries(st.sampled_from(FIELDS), texts, max_size=5)
    | st.fixed_dictionaries({"email": texts, "company": companies})
    | values,
    max_size=5,
)
bits = st.binary(max_size=60)


def encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def is_fair(answer: Answer, *statuses: int) -> None:
    """One of the statuses; that envelope, code and headers are right was checked already."""
    assert answer.status in statuses, answer.body


def test_any_bytes_to_patch(api: Tenant) -> None:
    target = f"AG/audiences/{api.audience('Old')['id']}"

    @examples(api)
    @given(bits | updates.map(encode) | st.tuples(updates.map(encode), bits).map(b"".join))
    def run(body: bytes) -> None:
        is_fair(api.send("PATCH", target, body=body), 200, 400)
        shown = api.get(target).expect(200).data
        assert 1 <= len(shown["name"]) <= 255
        assert shown["description"] is None or 1 <= len(shown["description"]) <= 2000

    run()


def test_any_text_as_a_name_is_kept_or_refused(api: Tenant) -> None:
    target = f"AG/audiences/{api.audience('Old')['id']}"

    @examples(api)
    @given(st.text(max_size=300), st.text(max_size=300) | st.none())
    def run(name: str, description: str | None) -> None:
        answer = api.patch(target, {"name": name, "description": description})
        is_fair(answer, 200, 400)
        if answer.status == 200:
            got = api.get(target).expect(200)
            assert (got.data, got.etag) == (answer.data, answer.etag)
            again = api.patch(target, {k: answer.data[k] for k in ("name", "description")})
            assert again.expect(200).etag == answer.etag

    run()


def test_any_query_to_the_lists(api: Tenant) -> None:
    for name in ("Old", "\u00c4lter", "100%"):
        api.audience(name)
    keys = st.sampled_from(["q", "limit", "cursor", "type", "folderId", "include", "x", ""])
    encoded = st.text(max_size=20).map(
        lambda t: quote_from_bytes(t.encode("utf-8", "surrogatepass"), safe="")
    )
    raw = st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"), max_size=20
    )
    pairs = st.tuples(keys, encoded | raw).map("=".join)

    @examples(api)
    @given(st.lists(pairs, max_size=3).map("&".join) | raw)
    def run(query: str) -> None:
        is_fair(api.get(f"AG/audiences?{query}"), 200, 400)
        is_fair(api.get(f"AG/suppressions?{query}"), 200, 400)

    run()


def test_any_people_to_an_audience(api: Tenant) -> None:
    audience = api.audience()["id"]
    target = f"AG/audiences/{audience}/prospects"

    @examples(api)
    @given(people.map(lambda rows: encode({"prospects": rows})) | updates.map(encode) | bits)
    def run(body: bytes) -> None:
        answer = api.send("POST", target, body=body)
        is_fair(answer, 200, 400)
        if answer.status == 200:
            counts = answer.data["counts"]
            assert counts["received"] == sum(v for k, v in counts.items() if k != "received")
            assert counts["received"] == len(answer.data["items"])

    run()
    count = api.get(f"AG/audiences/{audience}").expect(200).data["prospectCount"]
    exported = api.get(f"AG/audiences/{audience}/export?format=ndjson").expect(200)
    assert int(exported.headers["x-row-count"]) == count == len(exported.body.splitlines())


def test_any_path_below_the_group(api: Tenant) -> None:
    part = st.text(max_size=12).map(
        lambda t: quote_from_bytes(t.encode("utf-8", "surrogatepass"), safe="")
    )

    @examples(api)
    @given(st.sampled_from(["GET", "PATCH", "DELETE", "POST"]), st.lists(part, max_size=4))
    def run(method: str, parts: list[str]) -> None:
        target = "/".join(["AG", "audiences", *parts])
        is_fair(
            api.send(method, target, json={} if method in ("POST", "PATCH") else None),
            400,
            404,
            405,
            200,
        )

    run()
