"""Audiences and folders through the client, on the real server and on the mock."""

from __future__ import annotations

from datetime import UTC

import pytest
from client.tests.backends import Backend

from longlist_client import (
    AudienceNameTaken,
    AudienceNotReady,
    Conflict,
    FolderTypeMismatch,
    NotFound,
    PreconditionFailed,
    UrlUpload,
    ValidationError,
)
from longlist_client.client import AccountGroup

UNKNOWN = "0123456789abcdef01234567"


def test_create_get_update_delete(account: AccountGroup) -> None:
    made = account.audiences.create(name="  Fintech CTOs ", type="on_demand", description="A")
    assert (made.name, made.description, made.prospect_count) == ("Fintech CTOs", "A", 0)
    assert made.created_at.tzinfo is UTC
    assert account.audiences.get(made.id) == made
    assert made.etag is not None
    named = account.audiences.update(made.id, name="Benelux")
    assert (named.name, named.description) == ("Benelux", "A")
    assert named.etag != made.etag
    cleared = account.audiences.update(made.id, description=None)
    assert (cleared.name, cleared.description) == ("Benelux", None)
    same = account.audiences.update(made.id, name="Benelux")
    assert same.etag == cleared.etag
    account.audiences.delete(made.id)
    with pytest.raises(NotFound) as caught:
        account.audiences.delete(made.id)
    assert caught.value.context == {"resource": "audience"}
    assert not caught.value.after_lost_answer


def test_an_update_of_nothing_is_refused_by_the_server(account: AccountGroup) -> None:
    made = account.audiences.create(name="A", type="on_demand")
    with pytest.raises(ValidationError) as caught:
        account.audiences.update(made.id)
    assert [issue.code for issue in caught.value.issues] == ["at_least_one"]
    with pytest.raises(ValidationError) as caught:
        account.audiences.update(made.id, name=" ")
    assert [issue.field for issue in caught.value.issues] == ["name"]
    assert caught.value.status == 400
    assert len(caught.value.trace_id) == 32


def test_tags_guard_against_lost_updates(account: AccountGroup) -> None:
    made = account.audiences.create(name="A", type="on_demand")
    assert made.etag is not None
    assert account.audiences.get_if_changed(made.id, made.etag) is None
    mine = account.audiences.update(made.id, name="B", if_match=made.etag)
    with pytest.raises(PreconditionFailed) as caught:
        account.audiences.update(made.id, name="C", if_match=made.etag)
    assert caught.value.current_etag == mine.etag
    with pytest.raises(PreconditionFailed):
        account.audiences.delete(made.id, if_match=made.etag)
    assert account.audiences.get_if_changed(made.id, made.etag) == mine
    account.audiences.delete(made.id, if_match=mine.etag)


def test_lists_are_walked_page_by_page(account: AccountGroup) -> None:
    made = [account.audiences.create(name=f"Audience {n}", type="on_demand") for n in range(7)]
    found = list(account.audiences.list(limit=3))
    assert [audience.id for audience in found] == [audience.id for audience in reversed(made)]
    first = account.audiences.list_page(limit=3)
    assert first.has_more
    assert first.filling is None
    rest = list(account.audiences.list(limit=2, cursor=first.next_cursor))
    assert [a.id for a in [*first.items, *rest]] == [audience.id for audience in found]
    assert [a.name for a in account.audiences.list(q="audience 3")] == ["Audience 3"]
    assert list(account.audiences.list(type="monitoring")) == []
    with pytest.raises(ValidationError) as caught:
        account.audiences.list_page(q="other", cursor=first.next_cursor)
    assert [issue.code for issue in caught.value.issues] == ["invalid_cursor"]


def test_folders(account: AccountGroup) -> None:
    folder = account.folders.create(name="Spring", audience_type="on_demand")
    other = account.folders.create(name="Watched", audience_type="monitoring")
    assert (folder.position, other.position) == (0, 1)
    audience = account.audiences.create(name="A", type="on_demand")
    moved = account.audiences.move_to_folder(audience.id, folder.id, if_match=audience.etag)
    assert moved.folder_id == folder.id
    with pytest.raises(FolderTypeMismatch) as mismatch:
        account.audiences.move_to_folder(audience.id, other.id)
    assert mismatch.value.context["folderType"] == "monitoring"
    with pytest.raises(NotFound):
        account.audiences.move_to_folder(audience.id, UNKNOWN)
    assert [a.id for a in account.audiences.list(folder_id=folder.id)] == [audience.id]
    shown = account.audiences.navigation()
    assert [(f.name, [a.id for a in f.audiences]) for f in shown.folders] == [
        ("Spring", [audience.id]),
        ("Watched", []),
    ]
    renamed = account.folders.update(folder.id, name="Autumn")
    assert renamed.name == "Autumn"
    with pytest.raises(Conflict) as conflict:
        account.folders.delete(folder.id)
    assert conflict.value.context == {"audienceCount": 1}
    account.folders.delete(folder.id, ungroup=True, if_match=renamed.etag)
    assert account.audiences.get(audience.id).folder_id is None
    back = account.audiences.move_to_folder(
        audience.id, account.folders.create(name="B", audience_type="on_demand").id
    )
    assert back.folder_id is not None
    assert account.audiences.remove_from_folder(audience.id).folder_id is None


def test_unique_names(backend: Backend, account: AccountGroup) -> None:
    backend.require_unique_names()
    made = account.audiences.create(name="Fintech", type="on_demand")
    other = account.audiences.create(name="Other", type="on_demand")
    with pytest.raises(AudienceNameTaken) as caught:
        account.audiences.update(other.id, name="FINTECH")
    assert caught.value.existing_id == made.id
    assert caught.value.status == 422
    assert account.audiences.update(made.id, name="FINTECH").name == "FINTECH"


def test_a_filling_audience_is_locked(backend: Backend, account: AccountGroup) -> None:
    audience = account.audiences.create(name="A", type="on_demand")
    source = UrlUpload(profile_urls=["https://www.linkedin.com/in/ada-lovelace"])
    job = account.prospecting.start(source, audience_id=audience.id)
    with pytest.raises(AudienceNotReady) as caught:
        account.audiences.update(audience.id, name="B")
    error = caught.value
    assert (error.audience_id, error.job_id, error.progress) == (audience.id, job.job_id, 0)
    assert error.retry_after is not None
    assert error.retry_after >= 1
    assert error.context["jobStatus"] == "queued"
    with pytest.raises(PreconditionFailed):
        account.audiences.update(audience.id, name="B", if_match='"stale"')
    with pytest.raises(ValidationError):
        account.audiences.update(audience.id, name="")
    for refused in (
        lambda: account.audiences.get(audience.id),
        lambda: account.audiences.delete(audience.id),
        lambda: account.audiences.remove_from_folder(audience.id),
        lambda: account.prospects.list_page(audience.id),
        lambda: account.prospects.add(audience.id, []),
        lambda: account.prospecting.start(source, audience_id=audience.id),
    ):
        with pytest.raises((AudienceNotReady, ValidationError)):
            refused()
    assert list(account.audiences.list()) == []
    page = account.audiences.list_page(include="filling")
    assert page.filling is not None
    assert [(f.audience_id, f.job_id) for f in page.filling] == [(audience.id, job.job_id)]
    backend.finish_jobs(job.job_id)
    assert account.audiences.update(audience.id, name="B").prospect_count == 1
