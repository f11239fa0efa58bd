"""Requests that another site makes a signed-in browser send."""

from __future__ import annotations

import pytest

from longlist.admin.routing import PAGES, Page
from tests.admin.test_sign_in import path_of
from tests.admin.visitor import Visitor, signed_in
from tests.harness.server import Longlist

POSTS = [page for page in PAGES if page.method == "POST"]


@pytest.mark.parametrize("page", POSTS, ids=lambda page: page.path)
def test_a_form_without_its_token_is_refused(
    server: Longlist, visitor: Visitor, page: Page
) -> None:
    path = path_of(page) if "{token}" not in page.path else "/admin/setup/some-token"
    good, other = visitor.csrf, signed_in(server).csrf
    assert good != other
    for csrf in ("", "x", good[:-1], other):
        answer = (
            visitor.post(path, {"csrf": csrf})
            if not page.uploads
            else visitor.upload(path, b"Email\nada@example.com\n", **{"X-CSRF-Token": csrf})
        )
        assert "form is out of date" in answer.expect(403).plain
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = (
        visitor.upload(path, b"Email\nada@example.com\n", **headers)
        if page.uploads
        else visitor.post(path, {"csrf": good}, headers=headers)
    )
    answer.expect(403)
    # With the token the same request comes further than the guard.
    if page.path not in ("/sign-out",):
        answer = visitor.upload(path, b"") if page.uploads else visitor.post(path, {"csrf": good})
        assert answer.status != 403


@pytest.mark.parametrize("page", POSTS, ids=lambda page: page.path)
def test_nothing_is_changed_by_looking(visitor: Visitor, page: Page) -> None:
    if "{token}" in page.path:
        return
    path = path_of(page)
    answer = visitor.get(path)
    assert answer.status in (200, 303, 404, 405)
    if answer.status == 405:
        assert "POST" in answer.headers["allow"]
