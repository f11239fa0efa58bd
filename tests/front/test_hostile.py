"""Requests that are made to confuse: what leaves the front is one request, for one group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from longlist.front import directory_store as store
from tests.front.fronts import OddCluster, Peer, RunningFront, answer_bytes, change, running_front
from tests.harness.server import settings_for
from tests.server.raw_http import Answer, RawClient

GROUP = "aaaaaaaaaaaaaaaaaaaaaaaa"
OTHER = "bbbbbbbbbbbbbbbbbbbbbbbb"
PATH = f"/v1/accounts/{GROUP}/audiences"
HOST = "Host: front.example\r\n"
KEY = "Authorization: Bearer llk_x\r\n"


class Recorded:
    """What arrived at a cluster."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, bytes]] = []
        self.answer = answer_bytes()

    def script(self, peer: Peer) -> None:
        while head := peer.read_head():
            body = b""
            if b"transfer-encoding: chunked" in head:
                while not peer.seen.endswith(b"0\r\n\r\n"):
                    peer.seen += peer.sock.recv(65_536)
                body, peer.seen = peer.seen, b""
            else:
                body = peer.read_body(head)
            self.requests.append((head, body))
            peer.send(self.answer)

    def only(self) -> tuple[bytes, list[bytes], bytes]:
        """Request line, headers and body of the one request there was."""
        ((head, body),) = self.requests
        line, *headers = head.split(b"\r\n")
        self.requests.clear()
        return line, headers, body


@pytest.fixture(scope="module")
def evil() -> Iterator[OddCluster]:
    """An address that is not in the table."""
    cluster = OddCluster(lambda peer: None)
    yield cluster
    cluster.close()
    assert cluster.connections == 0, "the front asked an address that is not in the table"


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, evil: OddCluster
) -> Iterator[tuple[RunningFront, Recorded, Recorded]]:
    """A front of two clusters, each with one group."""
    at: Path = tmp_path_factory.mktemp("hostile") / "front.sqlite3"
    settings = settings_for("/nonexistent", front_directory=str(at))
    mine, other = Recorded(), Recorded()
    made = []
    for name, recorded, group in (("mine", mine, GROUP), ("other", other, OTHER)):
        made.append(OddCluster(recorded.script))
        change(settings, store.add_cluster_everywhere, name, made[-1].url)
        change(settings, store.place_everywhere, group, name)
    with running_front(at, request_timeout_s=5) as front:
        yield front, mine, other
    for cluster in made:
        cluster.close()
        assert not cluster.failures


@pytest.fixture
def front(both: tuple[RunningFront, Recorded, Recorded]) -> RunningFront:
    return both[0]


@pytest.fixture
def mine(both: tuple[RunningFront, Recorded, Recorded]) -> Iterator[Recorded]:
    """The cluster of GROUP; that of OTHER sees nothing in any of these tests."""
    for recorded in both[1:]:
        recorded.requests.clear()
    yield both[1]
    assert both[2].requests == []


def ask(front: RunningFront, data: str | bytes) -> Answer:
    with RawClient(front.port) as raw:
        raw.send(data)
        return raw.read_answer()


@pytest.mark.parametrize(
    "target",
    [
        f"{PATH}/%2e%2e",
        f"{PATH}/..%2f..%2f{OTHER}%2faudiences",
        f"{PATH}/%0d%0aHost:%20evil",
        f"{PATH}?q=%00&x=http://evil/",
        f"{PATH}/a;b=c",
        f"/v1/accounts/%61{GROUP[1:]}/audiences",
    ],
)
def test_the_path_leaves_as_it_came(front: RunningFront, mine: Recorded, target: str) -> None:
    assert ask(front, f"GET {target} HTTP/1.1\r\n{HOST}{KEY}\r\n").status == 200
    line, _, _ = mine.only()
    assert line == f"GET {target} HTTP/1.1".encode()


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"/v1/accounts/{GROUP}/../{OTHER}/audiences", 404),
        (f"/v1/accounts/{GROUP}%2Faudiences", 404),
        (f"/v1/accounts/{GROUP}%2F..%2F{OTHER}/audiences", 503),
        (f"//v1/accounts/{GROUP}/audiences", 404),
        (f"/v1//accounts/{GROUP}/audiences", 404),
        (f"/V1/accounts/{GROUP}/audiences", 404),
        (f"/v1/accounts/{GROUP}/audiences/", 404),
        (f"/./v1/accounts/{GROUP}/audiences", 404),
        (f"/v1/accounts/{GROUP}/audiences%00", 404),
        ("/v1/accounts//audiences", 404),
        ("*", 400),
        ("evil:80", 400),
        ("ftp://evil/", 400),
    ],
)
def test_paths_that_are_nobodys(front: RunningFront, target: str, status: int) -> None:
    """A group that is none of the table is asked about with the key alone, of every cluster."""
    answer = ask(front, f"GET {target} HTTP/1.1\r\n{HOST}{KEY}\r\n")
    # The clusters of these tests do not answer /v1/me as clusters do, hence 503.
    assert answer.status == status, answer.body


def test_the_address_is_the_tables(front: RunningFront, mine: Recorded, evil: OddCluster) -> None:
    """Not the target's, not Host's, not a header's, and not that of a redirect."""
    answer = ask(
        front,
        f"GET {evil.url}{PATH}?limit=1 HTTP/1.1\r\nHost: 127.0.0.1:{evil.port}\r\n{KEY}"
        f"X-Forwarded-Host: 127.0.0.1:{evil.port}\r\nForwarded: host=127.0.0.1:{evil.port}\r\n"
        f"X-Original-URL: {evil.url}/\r\n\r\n",
    )
    assert answer.status == 200
    line, headers, _ = mine.only()
    assert line == f"GET {PATH}?limit=1 HTTP/1.1".encode()
    assert f"127.0.0.1:{evil.port}".encode() not in b"\r\n".join(
        header for header in headers if not header.startswith(b"x-original-url")
    )
    mine.answer = b"HTTP/1.1 307 X\r\nLocation: %b/\r\nContent-Length: 0\r\n\r\n" % (
        evil.url.encode()
    )
    try:
        assert ask(front, f"GET {PATH} HTTP/1.1\r\n{HOST}{KEY}\r\n").status == 307
    finally:
        mine.answer = answer_bytes()
    assert evil.connections == 0


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "Content-Length: 2\r\nContent-Length: 2\r\n",
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: 2, 2\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        " Content-Length: 2\r\n",
        "X: a\r\n Content-Length: 2\r\n",
        "X: a\x00b\r\n",
        "X: a\rb\r\n",
        "Host: evil\r\n",
    ],
)
def test_framing_that_can_be_read_in_two_ways(
    front: RunningFront, mine: Recorded, framing: str
) -> None:
    answer = ask(
        front,
        f"POST {PATH} HTTP/1.1\r\n{HOST}{KEY}Content-Type: application/json\r\n{framing}\r\n"
        f"0\r\n\r\nGET {PATH}/smuggled HTTP/1.1\r\n{HOST}\r\n",
    )
    assert answer.status == 400
    assert mine.requests == []


def test_a_body_is_framed_anew(front: RunningFront, mine: Recorded) -> None:
    """Chunk extensions and trailers end here."""
    answer = ask(
        front,
        f"POST {PATH} HTTP/1.1\r\n{HOST}{KEY}Content-Type: application/json\r\n"
        "Transfer-Encoding: Chunked\r\nTrailer: X-Late\r\n\r\n"
        "2;a=b\r\n{}\r\n0\r\nX-Late: 1\r\n\r\n",
    )
    assert answer.status == 200
    _, headers, body = mine.only()
    assert body == b"2\r\n{}\r\n0\r\n\r\n"
    names = [header.partition(b":")[0] for header in headers]
    assert names.count(b"transfer-encoding") == 1
    assert not {b"content-length", b"trailer", b"x-late"} & set(names)


@pytest.mark.parametrize(
    "named",
    ["Authorization", "close, If-Match", "idempotency-key", "Content-Length", "X-Forwarded-For",
     "host", "keep-alive,Content-Type"],
)  # fmt: skip
def test_connection_may_not_take_headers_away(
    front: RunningFront, mine: Recorded, named: str
) -> None:
    answer = ask(
        front,
        f"POST {PATH} HTTP/1.1\r\n{HOST}{KEY}Content-Type: application/json\r\n"
        f"Content-Length: 2\r\nConnection: {named}\r\n\r\n{{}}",
    )
    assert (answer.status, answer.json["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert answer.json["error"]["issues"][0]["field"] == "header.Connection"
    assert mine.requests == []


def test_what_is_of_the_connection_stays(front: RunningFront, mine: Recorded) -> None:
    answer = ask(
        front,
        f"GET {PATH} HTTP/1.1\r\n{HOST}{KEY}Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\n"
        "Keep-Alive: 5\r\nTE: trailers\r\nUpgrade: h2c\r\nProxy-Authorization: x\r\n"
        "Proxy-Connection: x\r\nX-Real-IP: 203.0.113.9\r\nX-Forwarded-For: 203.0.113.9\r\n"
        "X-Forwarded-Proto: https\r\nForwarded: for=203.0.113.9\r\ntracestate: a=b\r\n"
        'traceparent: nonsense\r\nExpect: 200-ok\r\nAccept: */*\r\nIf-None-Match: "x"\r\n'
        "X-End-To-End: 1\r\n\r\n",
    )
    assert answer.status == 200
    _, headers, _ = mine.only()
    found = dict(header.split(b": ", 1) for header in headers)
    assert len(found) == len(headers)
    assert set(found) == {
        b"host", b"authorization", b"accept", b"if-none-match", b"x-end-to-end", b"traceparent",
        b"x-forwarded-for",
    }  # fmt: skip
    assert found[b"host"].startswith(b"127.0.0.1:")
    assert found[b"x-forwarded-for"] == b"127.0.0.1"
    assert answer.headers.get("x-trace-id") is None  # the cluster's to give
    assert len(found[b"traceparent"]) == 55


def test_requests_sent_ahead_are_answered_in_order(front: RunningFront, mine: Recorded) -> None:
    one = f"GET {PATH}?q=%d HTTP/1.1\r\n{HOST}{KEY}\r\n"
    with RawClient(front.port) as raw:
        raw.send("".join(one % n for n in range(5)))
        assert [raw.read_answer().status for _ in range(5)] == [200] * 5
    lines = [head.split(b"\r\n")[0] for head, _ in mine.requests]
    assert lines == [f"GET {PATH}?q={n} HTTP/1.1".encode() for n in range(5)]


def test_an_old_client(front: RunningFront, mine: Recorded) -> None:
    answer = ask(front, f"GET {PATH} HTTP/1.0\r\n{HOST}{KEY}\r\n")
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert mine.only()[0].endswith(b"HTTP/1.1")


def test_a_trusted_proxy_is_believed(mine: Recorded, front: RunningFront) -> None:
    at = front.settings.front_directory
    with running_front(at, trusted_proxies="127.0.0.1") as behind:
        assert (
            ask(
                behind,
                f"GET {PATH} HTTP/1.1\r\n{HOST}{KEY}X-Forwarded-For: 203.0.113.9\r\n\r\n",
            ).status
            == 200
        )
    _, headers, _ = mine.only()
    assert b"x-forwarded-for: 203.0.113.9, 127.0.0.1" in headers
