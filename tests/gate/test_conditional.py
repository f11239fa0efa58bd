"""ETag, If-None-Match and If-Match on every tagged operation (contract 1.7)."""

from __future__ import annotations

from typing import Any

import pytest

from longlist.operations import Operation
from tests.gate.requests import SCOPED, good, name_of, target_of
from tests.harness.tenant import UNKNOWN, Tenant

KNOWN = {
    "createAudience", "updateAudience", "getAudience", "deleteAudience", "moveAudienceToFolder",
    "removeAudienceFromFolder", "updateFolder", "deleteFolder", "getProspect", "eraseProspect",
}  # fmt: skip
TAGGED = [o for o in SCOPED if o.tagged and o.id in KNOWN]
GETS = [o for o in TAGGED if o.method == "GET"]
WRITES = [o for o in TAGGED if o.takes_if_match and o.method != "GET"]
each_get = pytest.mark.parametrize("operation", GETS, ids=name_of)
each_write = pytest.mark.parametrize("operation", WRITES, ids=name_of)

MALFORMED = [
    "",
    " ",
    "x",
    '"open',
    "*, *",
    '*,"x"',
    'w/"x"',
    '"a" "b"',
    "W/*",
    ",",
    '"a\tb"',
    "'x'",
]


class Place:
    """A resource for an operation to meet: where it is, and its tag."""

    def __init__(self, api: Tenant, operation: Operation) -> None:
        self.api, self.operation = api, operation
        if "folderId" in operation.ids:
            made = api.folder("Old")
            self.id: str = made["id"]
            rename = api.patch(f"AG/audiences/folders/{self.id}", {"name": "Old"})
            self.tag: str = rename.expect(200).etag
        else:
            self.audience = api.audience("Old")["id"]
            self.id = self.audience
            if "prospectId" in operation.ids:
                self.id = api.prospect(self.audience, email="ada@example.com")
            kind = "prospects" if "prospectId" in operation.ids else "audiences"
            self.tag = api.get(f"AG/{kind}/{self.id}").expect(200).etag
        self.target = target_of(operation, id_=self.id)
        self.request = good(operation)
        if operation.id == "moveAudienceToFolder":
            self.request = {"json": {"folderId": api.folder()["id"]}}

    def send(self, header: str, value: str, target: str | None = None) -> Any:
        request = {**self.request, "headers": {header: value}}
        return self.api.send(self.operation.method, target or self.target, **request)


def test_every_tagged_operation_is_walked() -> None:
    sections = {"3", "4", "5"}
    tagged = {o.id for o in SCOPED if o.tagged and o.section.partition(".")[0] in sections}
    assert tagged == KNOWN


@each_get
def test_if_none_match(api: Tenant, operation: Operation) -> None:
    place = Place(api, operation)
    for known in (place.tag, f"W/{place.tag}", f'"x", {place.tag}', f'W/"x" , W/{place.tag},', "*"):
        answer = place.send("If-None-Match", known).expect(304)
        assert answer.etag == place.tag
    for unknown in ('"x"', 'W/"x"', f'"{place.tag[1:-1]}x"'):
        place.send("If-None-Match", unknown).expect(200)
    place.send("If-Match", '"stale"').expect(200)
    twice = [("If-None-Match", '"x"'), ("If-None-Match", place.tag)]
    api.get(place.target, headers=twice).expect(304)
    api.send("HEAD", place.target, headers={"If-None-Match": place.tag}).expect(304)


@each_get
@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_if_none_match_is_400(api: Tenant, operation: Operation, value: str) -> None:
    answer = Place(api, operation).send("If-None-Match", value).expect(400)
    assert answer.issues == [("header.If-None-Match", "invalid_format")]


@each_get
def test_a_malformed_if_none_match_comes_before_404(api: Tenant, operation: Operation) -> None:
    place = Place(api, operation)
    place.send("If-None-Match", "bad", target_of(operation, UNKNOWN)).expect(400)


@each_write
def test_if_match_that_does_not_match_is_412(api: Tenant, operation: Operation) -> None:
    place = Place(api, operation)
    before = len(api.events())
    for stale in ('"x"', f"W/{place.tag}", f'"x", W/{place.tag}', '""'):
        place.send("If-Match", stale).expect(412, "PRECONDITION_FAILED")
        assert place.send("If-Match", stale).etag == place.tag
    assert len(api.events()) == before
    place.send("If-None-Match", place.tag).expect(200)


@each_write
@pytest.mark.parametrize("form", ["{tag}", "*", '"x", {tag}', 'W/"x",{tag} ,'])
def test_if_match_that_matches(api: Tenant, operation: Operation, form: str) -> None:
    place = Place(api, operation)
    place.send("If-Match", form.replace("{tag}", place.tag)).expect(200)


@each_write
@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_if_match_is_400(api: Tenant, operation: Operation, value: str) -> None:
    place = Place(api, operation)
    for target in (place.target, target_of(operation, UNKNOWN)):
        answer = place.send("If-Match", value, target).expect(400)
        assert answer.issues == [("header.If-Match", "invalid_format")]


@each_write
def test_if_match_star_on_what_is_not_there_is_404(api: Tenant, operation: Operation) -> None:
    place = Place(api, operation)
    for value in ("*", place.tag):
        place.send("If-Match", value, target_of(operation, UNKNOWN)).expect(404)


def test_if_match_has_no_meaning_for_a_create(api: Tenant) -> None:
    body = {"name": "A", "type": "on_demand"}
    for value in ('"stale"', "bad", "*"):
        api.post("AG/audiences", body, headers={"If-Match": value}).expect(201)


@pytest.mark.parametrize("operation", [o for o in SCOPED if not o.tagged], ids=name_of)
def test_an_operation_without_a_tag_ignores_both(api: Tenant, operation: Operation) -> None:
    target, request = target_of(operation), good(operation)
    usual = api.send(operation.method, target, **request).status
    for header in ("If-Match", "If-None-Match"):
        headers = {**request.get("headers", {}), header: "bad"}
        answer = api.send(operation.method, target, **{**request, "headers": headers})
        assert answer.status in (usual, *operation.also)


def test_a_tag_covers_every_member(api: Tenant) -> None:
    folder, audience = api.folder()["id"], api.audience()["id"]
    target = f"AG/audiences/{audience}"
    tags = [api.get(target).etag]

    def changed() -> None:
        tag = api.get(target).etag
        assert tag not in tags
        tags.append(tag)

    api.patch(target, {"name": "New"}).expect(200)
    changed()
    api.patch(target, {"description": "New"}).expect(200)
    changed()
    api.post(f"{target}/move-to-folder", {"folderId": folder}).expect(200)
    changed()
    prospect = api.prospect(audience, email="ada@example.com")
    changed()
    api.add(audience, {"email": "ada@example.com", "title": "CTO"})
    assert api.get(target).etag == tags[-1]
    api.delete(f"{target}/prospects/{prospect}").expect(200)
    changed()
    api.delete(f"AG/audiences/folders/{folder}?ungroup=true").expect(200)
    changed()
