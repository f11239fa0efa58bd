"""Who comes in: links, passwords, lock-out, sessions and their cookies."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from longlist.admin import store
from longlist.admin.routing import PAGES, Page
from longlist.admin.sign_in_pages import MOST_BY_ADDRESS, MOST_BY_USER
from longlist.admin.visit import COOKIE, own_target
from tests.admin.visitor import PASSWORD, Visitor, make_user, signed_in
from tests.harness.server import Longlist
from tests.harness.tenant import UNKNOWN

PRIVATE = [page for page in PAGES if not page.public]


@pytest.fixture(autouse=True)
def _no_attempts(server: Longlist) -> None:
    """Every test comes from one address: what others failed at is not counted."""
    server.change(("DELETE FROM admin_attempts",))


def path_of(page: Page) -> str:
    path = f"/admin{page.path}"
    return re.sub(r"\{\w+\}", UNKNOWN, path)


def link(server: Longlist, user_id: bytes | None = None) -> str:
    token = server.write(store.create_link, user_id)
    return f"/admin/setup/{token}"


@pytest.mark.parametrize("page", PRIVATE, ids=lambda page: f"{page.method} {page.path}")
def test_every_page_asks_to_sign_in_first(server: Longlist, page: Page) -> None:
    path, visitor = path_of(page), Visitor(server)
    answer = visitor.send(page.method, path)
    back = path if page.method == "GET" else "/admin"
    assert answer.to == f"/admin/sign-in?next={back}"
    headers = {"HX-Request": "true", "HX-Current-URL": "http://host/admin/groups"}
    answer = visitor.send(page.method, path, headers=headers).expect(200)
    assert answer.headers["hx-redirect"] == "/admin/sign-in?next=/admin/groups"
    assert answer.body == b""


def test_a_link_makes_a_user_once(server: Longlist) -> None:
    visitor, path = Visitor(server), link(server)
    assert "Welcome" in visitor.get(path).expect(200).plain
    form = {"name": f"Ada {path[-6:]}", "password": PASSWORD, "again": PASSWORD}
    assert visitor.post(path, form).to == "/admin"
    assert form["name"] in visitor.get("/admin/settings").expect(200).plain
    for again in (visitor.get(path), Visitor(server).get(path), visitor.post(path, form)):
        assert "has been used or has expired" in again.expect(404).plain
    other = Visitor(server)
    assert other.sign_in(form["name"].upper()).to == "/admin"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"password": "short", "again": "short"}, "at least 12 characters"),
        ({"password": "aaaaaaaaaaaaaaaa", "again": "aaaaaaaaaaaaaaaa"}, "too few characters"),
        ({"password": PASSWORD, "again": PASSWORD + "x"}, "not the same"),
        ({"name": "  ", "password": PASSWORD, "again": PASSWORD}, "name cannot be used"),
        ({"name": "x" * 65, "password": PASSWORD, "again": PASSWORD}, "name cannot be used"),
        (
            {"name": "Adalbert", "password": "adalbert 12345", "again": "adalbert 12345"},
            "user name",
        ),
    ],
)
def test_a_link_is_not_used_up_by_a_refusal(
    server: Longlist, form: dict[str, str], said: str
) -> None:
    visitor, path = Visitor(server), link(server)
    visitor.get(path)
    answer = visitor.post(path, {"name": "Ada", **form}).expect(400)
    assert said in answer.plain
    assert PASSWORD not in answer.text
    assert visitor.get(path).status == 200


def test_a_link_expires_and_two_at_once_make_one_user(server: Longlist) -> None:
    path = link(server)
    visitors = [Visitor(server) for _ in range(4)]
    for visitor in visitors:
        visitor.get(path)

    def follow(at: int) -> int:
        name = f"Racer {at} {path[-6:]}"
        form = {"name": name, "password": PASSWORD, "again": PASSWORD}
        return visitors[at].post(path, form).status

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(follow, range(4))) == [303, 404, 404, 404]
    old = link(server)
    server.change(("UPDATE admin_links SET created_at = created_at - $1", store.LINK_MS))
    assert Visitor(server).get(old).status == 404


def test_a_link_for_a_user_sets_a_new_password_and_ends_its_sessions(server: Longlist) -> None:
    name = make_user(server)
    visitor = Visitor(server)
    visitor.sign_in(name).expect(303)
    user = server.write(store.find_user, name)
    path, other = link(server, user.id), Visitor(server)
    assert name in other.get(path).expect(200).plain
    new = "another list of words"
    other.post(path, {"name": "ignored", "password": new, "again": new}).expect(303)
    assert visitor.get("/admin/groups").to.startswith("/admin/sign-in")
    assert Visitor(server).sign_in(name).status == 401
    assert Visitor(server).sign_in(name, new).status == 303


def test_a_wrong_name_and_a_wrong_password_are_told_alike(server: Longlist) -> None:
    name = make_user(server)
    texts = set()
    for who, password in ((name, "wrong wrong wrong"), ("nobody at all", PASSWORD)):
        answer = Visitor(server).sign_in(who, password).expect(401)
        assert COOKIE not in str(answer.cookies)
        assert password not in answer.text
        texts.add(answer.plain)
    assert len(texts) == 1
    assert "do not go together" in texts.pop()


def test_hostile_fields_of_the_sign_in_form_are_shown_as_text(server: Longlist) -> None:
    bad = '"><script>alert(1)</script>'
    answer = Visitor(server).sign_in(bad, "wrong wrong wrong", next=bad)
    assert "<script>alert" not in answer.text
    assert answer.text.count("&lt;script&gt;") == 2


def test_a_name_is_locked_after_failures_in_every_process(
    server: Longlist, another_server: Callable[..., Longlist]
) -> None:
    name, second = make_user(server), another_server()
    for at in range(MOST_BY_USER):
        Visitor((server, second)[at % 2]).sign_in(name, "wrong wrong wrong").expect(401)
    for where in (server, second):
        answer = Visitor(where).sign_in(name.upper()).expect(429)
        assert 800 <= int(answer.headers["retry-after"]) <= 900
        assert "Too many failed attempts" in answer.plain
        assert "15 minutes" in answer.plain
    Visitor(server).sign_in(make_user(server)).expect(303)
    server.change(("UPDATE admin_attempts SET since = since - $1", store.WINDOW_MS))
    Visitor(server).sign_in(name).expect(303)


def test_attempts_at_once_do_not_outrun_the_lock(server: Longlist) -> None:
    name = make_user(server)
    visitors = [Visitor(server) for _ in range(12)]
    for visitor in visitors:
        visitor.get("/admin/sign-in")

    def attempt(visitor: Visitor) -> int:
        form = {"name": name, "password": "wrong wrong wrong"}
        return visitor.post("/admin/sign-in", form).status

    with ThreadPoolExecutor(12) as pool:
        found = sorted(pool.map(attempt, visitors))
    assert found == [401] * MOST_BY_USER + [429] * (12 - MOST_BY_USER)


def test_an_address_is_locked_whatever_names_it_tries(server: Longlist) -> None:
    name = make_user(server)
    for at in range(MOST_BY_ADDRESS):
        Visitor(server).sign_in(f"nobody {at}", "wrong wrong wrong").expect(401)
    Visitor(server).sign_in(name).expect(429)
    # A link proves more than a password: it lets its user in, and the name is free again.
    user = server.write(store.find_user, name)
    path, visitor = link(server, user.id), Visitor(server)
    visitor.get(path)
    visitor.post(path, {"password": PASSWORD, "again": PASSWORD}).expect(303)


def test_good_attempts_are_not_counted(server: Longlist) -> None:
    name = make_user(server)
    for _ in range(MOST_BY_USER + 1):
        Visitor(server).sign_in(name).expect(303)
    for _ in range(2):
        for _ in range(MOST_BY_USER - 1):
            Visitor(server).sign_in(name, "wrong wrong wrong").expect(401)
        Visitor(server).sign_in(name).expect(303)


def test_a_session_is_never_one_that_the_browser_brought(server: Longlist) -> None:
    name = make_user(server)
    for brought in ("chosen-by-an-attacker", signed_in(server).session):
        visitor = Visitor(server)
        visitor.jar[COOKIE] = brought
        visitor.csrf = ""
        visitor.get("/admin/sign-in")
        if not visitor.csrf:
            visitor.get("/admin/groups").expect(200)
        visitor.post("/admin/sign-in", {"name": name, "password": PASSWORD}).expect(303)
        assert visitor.session != brought
        thief = Visitor(server)
        thief.jar[COOKIE] = brought
        assert thief.get("/admin/groups").to.startswith("/admin/sign-in")
        assert name in visitor.get("/admin/settings").plain


def test_signing_out_ends_the_session_for_whoever_has_the_cookie(server: Longlist) -> None:
    visitor = signed_in(server)
    copy = Visitor(server)
    copy.jar[COOKIE] = visitor.session
    copy.get("/admin/groups").expect(200)
    answer = visitor.post("/admin/sign-out")
    assert answer.to == "/admin/sign-in"
    assert any(f"{COOKIE}=;" in cookie and "Max-Age=0" in cookie for cookie in answer.cookies)
    assert copy.get("/admin/groups").to.startswith("/admin/sign-in")


@pytest.mark.parametrize(
    ("column", "ms"), [("seen_at", store.IDLE_MS), ("created_at", store.LONGEST_MS)]
)
def test_a_session_expires(server: Longlist, column: str, ms: int) -> None:
    visitor = signed_in(server)
    server.change((f"UPDATE admin_sessions SET {column} = {column} - $1", ms - 30_000))
    visitor.get("/admin/groups").expect(200)
    server.change((f"UPDATE admin_sessions SET {column} = {column} - $1", ms))
    assert visitor.get("/admin/groups").to.startswith("/admin/sign-in")


def test_use_keeps_a_session(server: Longlist) -> None:
    visitor = signed_in(server)
    for _ in range(3):
        server.change(("UPDATE admin_sessions SET seen_at = seen_at - $1", store.IDLE_MS // 2))
        visitor.get("/admin/groups").expect(200)


def test_neither_tokens_nor_passwords_are_stored(server: Longlist, dear_passwords: None) -> None:
    visitor = signed_in(server)
    path = link(server)
    Visitor(server).sign_in(make_user(server)).expect(303)
    kept = repr(
        server.rows("SELECT * FROM admin_sessions")
        + server.rows("SELECT * FROM admin_links")
        + server.rows("SELECT * FROM admin_users")
    )
    assert visitor.session not in kept
    assert path.rpartition("/")[2] not in kept
    assert PASSWORD not in kept
    # Signing in has replaced the cheap hash of the fixture by one with today's parameters.
    assert "$argon2id$v=19$m=65536" in kept


def test_cookies_are_secure_where_the_browser_came_by_https(
    server: Longlist, another_server: Callable[..., Longlist]
) -> None:
    name, behind = make_user(server), another_server(trusted_proxies="127.0.0.1")

    def cookie(where: Longlist, **headers: str) -> str:
        visitor = Visitor(where)
        visitor.get("/admin/sign-in")
        form = {"name": name, "password": PASSWORD}
        answer = visitor.post("/admin/sign-in", form, headers=headers).expect(303)
        return next(text for text in answer.cookies if text.startswith(COOKIE))

    assert "Secure" not in cookie(server)
    assert "Secure" not in cookie(server, **{"X-Forwarded-Proto": "https"})
    assert "Secure" in cookie(behind, **{"X-Forwarded-Proto": "https"})
    assert "Secure" in cookie(behind)
    assert "Secure" not in cookie(behind, **{"X-Forwarded-Proto": "http"})


@pytest.mark.parametrize(
    "target",
    [
        "https://example.com/", "//example.com", "/\\example.com", "/admin//example.com",
        "/admin/../v1", "/administer", "javascript:alert(1)", "/admin\r\nX: y", "", "/v1/accounts",
    ],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(server: Longlist, target: str) -> None:
    assert own_target(target) == "/admin"
    assert Visitor(server).sign_in(make_user(server), next=target).to == "/admin"


def test_signing_in_leads_to_the_page_that_was_asked_for(server: Longlist) -> None:
    target = f"/admin/g/{UNKNOWN}/jobs?status=failed"
    assert Visitor(server).sign_in(make_user(server), next=target).to == target


def test_a_new_password_ends_sessions_elsewhere(server: Longlist) -> None:
    name = make_user(server)
    here, elsewhere = Visitor(server), Visitor(server)
    for visitor in (here, elsewhere):
        visitor.sign_in(name).expect(303)
        visitor.get("/admin/settings").expect(200)
    new = "another list of words"
    wrong = {"current": "wrong wrong wrong", "password": new, "again": new}
    assert "not your present password" in here.post("/admin/settings/password", wrong).plain
    here.post("/admin/settings/password", {**wrong, "current": PASSWORD}).expect(303)
    here.get("/admin/settings").expect(200)
    assert elsewhere.get("/admin/settings").to.startswith("/admin/sign-in")


def test_users_invite_and_remove_each_other_but_not_themselves(server: Longlist) -> None:
    one, other = make_user(server), make_user(server)
    visitor, removed = Visitor(server), Visitor(server)
    visitor.sign_in(one)
    removed.sign_in(other)
    page = visitor.get("/admin/settings").text
    assert one in page
    ids = {name: server.write(store.find_user, name).id.hex() for name in (one, other)}
    assert visitor.post(f"/admin/settings/users/{ids[one]}/remove").expect(400)
    visitor.post(f"/admin/settings/users/{ids[other]}/remove").expect(303)
    assert removed.get("/admin/groups").to.startswith("/admin/sign-in")
    assert Visitor(server).sign_in(other).status == 401
    answer = visitor.post("/admin/settings/invite", htmx=True).expect(200)
    path = answer.text.partition(">/admin/setup/")[2].partition("<")[0]
    assert Visitor(server).get(f"/admin/setup/{path}").status == 200
