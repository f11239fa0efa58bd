"""Clusters that are gone, freeze, break off or answer nonsense; streams in bounded memory."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from longlist.front import clusters, upstream
from longlist.front import directory_store as store
from tests.front.fronts import (
    OddCluster,
    Peer,
    RunningFront,
    answer_bytes,
    change,
    running_front,
    through,
)
from tests.harness.client import Client
from tests.harness.server import PATIENCE_S, Longlist, settings_for
from tests.harness.tenant import Tenant
from tests.server.raw_http import Answer, RawClient

GROUP = "aaaaaaaaaaaaaaaaaaaaaaaa"
PATH = f"/v1/accounts/{GROUP}/audiences"
KEY = "Authorization: Bearer llk_x\r\n"
MIB = 1 << 20


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("odd") / "front.sqlite3"


@pytest.fixture(scope="module")
def odd_front(at: Path) -> Iterator[RunningFront]:
    """A front of one cluster, which each test makes anew."""
    change(
        settings_for("/nonexistent", front_directory=str(at)),
        store.add_cluster_everywhere, "odd", "http://127.0.0.1:9",
    )  # fmt: skip
    with running_front(at, max_upload_bytes=64 * MIB, request_timeout_s=20) as front:
        front.change(store.place_everywhere, GROUP, "odd")
        yield front


Make = Callable[[Callable[[Peer], None]], OddCluster]


@pytest.fixture
def odd(odd_front: RunningFront) -> Iterator[Make]:
    """Puts a cluster with a script behind the front."""
    made: list[OddCluster] = []

    def make(script: Callable[[Peer], None]) -> OddCluster:
        made.append(OddCluster(script))
        odd_front.change(store.change_cluster_everywhere, "odd", made[-1].url)
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()
        assert not cluster.failures, cluster.failures
    odd_front.hang_up()


def client(front: RunningFront) -> Client:
    """For answers that are the front's own: they are held against the contract."""
    return Client(cast(Longlist, front), "llk_x")


def get(front: RunningFront, path: str = PATH) -> Answer:
    """The answer to a read, whatever the cluster made it."""
    with RawClient(front.port) as raw:
        raw.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n{KEY}\r\n")
        return raw.read_answer()


def is_cut(front: RunningFront, method: str, path: str = PATH, body: str = "{}") -> bool:
    """Whether a request gets no answer at all."""
    with RawClient(front.port) as raw:
        raw.send(
            f"{method} {path} HTTP/1.1\r\nHost: x\r\n{KEY}Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        try:
            return not raw.more()
        except ConnectionResetError:
            return True


def test_a_cluster_that_is_gone(odd_front: RunningFront, odd: Make) -> None:
    odd(lambda peer: None).close()
    one = f"{PATH}/{GROUP}"
    for method, path in (("GET", PATH), ("POST", PATH), ("PATCH", one), ("DELETE", one)):
        client(odd_front).send(method, path, json={}).expect(503, "OVERLOADED")
    ready = client(odd_front).get("/readyz").expect(503, "OVERLOADED")
    assert ready.error["context"]["checks"] == {
        "directory": "ok", "cluster odd": "failed", "running": "ok",
    }  # fmt: skip
    assert client(odd_front).get("/healthz").expect(200)


def broken_off(part: bytes) -> Callable[[Peer], None]:
    """Sends part of an answer, and hangs up."""

    def script(peer: Peer) -> None:
        while head := peer.read_head():
            peer.read_body(head)
            peer.send(part)
            return

    return script


NONSENSE = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "no HTTP": b"SSH-2.0-nobody\r\n",
    "no length": b"HTTP/1.1 200 OK\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 70_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_no_answer(odd_front: RunningFront, odd: Make, name: str) -> None:
    """Of a read is told with 503; of a write nobody can say whether it was done."""
    odd(broken_off(NONSENSE[name]))
    client(odd_front).get(PATH).expect(503, "OVERLOADED")
    assert is_cut(odd_front, "POST")
    assert is_cut(odd_front, "PATCH", f"{PATH}/{GROUP}")
    assert is_cut(odd_front, "DELETE", f"{PATH}/{GROUP}", body="")


@pytest.mark.parametrize(
    "part",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n",
    ],
)
def test_half_an_answer_is_not_taken_for_the_whole(
    odd_front: RunningFront, odd: Make, part: bytes
) -> None:
    odd(broken_off(part))
    with pytest.raises((AssertionError, ConnectionResetError)):
        get(odd_front)


def test_an_idle_connection_that_was_closed(odd_front: RunningFront, odd: Make) -> None:
    """A read goes out again on another one; a write never does."""

    def once(peer: Peer) -> None:
        peer.read_head()
        peer.send(answer_bytes())
        peer.read_head()  # and hang up without a word

    cluster = odd(once)
    for _ in range(3):
        assert get(odd_front).status == 200
    assert cluster.connections == 3
    assert is_cut(odd_front, "PATCH", f"{PATH}/{GROUP}")


def test_bytes_that_nobody_asked_for(odd_front: RunningFront, odd: Make) -> None:
    """A second answer is no answer to whoever asks next."""
    read, hung_up = threading.Event(), threading.Event()

    def late(peer: Peer) -> None:
        peer.read_head()
        peer.send(answer_bytes(b'{"success":1}'))
        read.wait(PATIENCE_S)
        peer.send(answer_bytes(b'{"poisoned":1}'))
        assert not peer.read_head(), "the front goes on with this connection"
        hung_up.set()

    odd(late)
    for _ in range(2):
        assert get(odd_front).body == b'{"success":1}'
        read.set()
        assert hung_up.wait(PATIENCE_S)
    together = odd(broken_off(answer_bytes(b'{"success":1}') + answer_bytes(b'{"poisoned":1}')))
    for _ in range(2):
        assert get(odd_front).body == b'{"success":1}'
    assert together.connections == 2


def test_interim_answers_and_hop_by_hop_headers_stay(odd_front: RunningFront, odd: Make) -> None:
    def script(peer: Peer) -> None:
        while peer.read_head():
            peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            peer.send(
                b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Inner\r\nX-Inner: 1\r\n"
                b'Keep-Alive: timeout=5\r\nDate: yesterday\r\nETag: "x"\r\n'
                b"Content-Length: 2\r\n\r\n{}"
            )

    odd(script)
    answer = get(odd_front)
    assert answer.status == 200
    assert set(answer.headers) == {"date", "etag", "content-length"}
    assert answer.headers["date"] != "yesterday"


def test_the_body_waits_where_the_client_lets_it(odd_front: RunningFront, odd: Make) -> None:
    """`Expect: 100-continue` is the cluster's to answer."""
    bodies: list[bytes] = []

    def script(peer: Peer) -> None:
        while head := peer.read_head():
            assert b"expect: 100-continue" in head.lower()
            if b"refuse" in head:
                peer.send(answer_bytes(b'{"success":false}', b"403 Forbidden"))
                return
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            bodies.append(peer.read_body(head))
            peer.send(answer_bytes())

    odd(script)
    head = (
        f"POST /v1/accounts/{GROUP}/files HTTP/1.1\r\nHost: x\r\n{KEY}Content-Type: text/csv\r\n"
        "Content-Length: 4\r\nExpect: 100-continue\r\n"
    )
    with RawClient(odd_front.port) as raw:
        raw.send(head + "\r\n")
        assert raw.read_answer().status == 100
        raw.send(b"a,b\n")
        assert raw.read_answer().status == 200
    assert bodies == [b"a,b\n"]
    with RawClient(odd_front.port) as raw:
        raw.send(head + "X-Do: refuse\r\n\r\n")
        assert raw.read_answer().status == 403
        assert raw.at_end()


def test_a_refusal_before_the_body_came(odd_front: RunningFront, odd: Make) -> None:
    """The head is not held back for a body that is on its way."""

    def script(peer: Peer) -> None:
        peer.read_head()
        peer.send(answer_bytes(b'{"success":false}', b"403 Forbidden"))
        peer.read_head()  # until the front hangs up

    odd(script)
    with RawClient(odd_front.port) as raw:
        raw.send(
            f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{KEY}Content-Type: application/json\r\n"
            "Content-Length: 1000\r\n\r\n{"
        )
        assert raw.read_answer().status == 403


def test_a_client_that_leaves_amid_its_body(odd_front: RunningFront, odd: Make) -> None:
    began, ended = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        peer.read_head()
        began.set()
        try:
            while peer.sock.recv(65_536):
                pass
        finally:
            ended.set()

    odd(script)
    with RawClient(odd_front.port) as raw:
        raw.send(
            f"POST /v1/accounts/{GROUP}/files HTTP/1.1\r\nHost: x\r\n{KEY}"
            "Content-Type: text/csv\r\nContent-Length: 1000\r\n\r\na,b\n"
        )
        assert began.wait(PATIENCE_S)
    assert ended.wait(PATIENCE_S)


def test_an_upload_is_not_held(odd_front: RunningFront, odd: Make) -> None:
    """A cluster that does not take it stops the client, a few buffers later."""
    go_on = threading.Event()
    got: list[int] = []

    def script(peer: Peer) -> None:
        head = peer.read_head()
        go_on.wait(PATIENCE_S)
        got.append(len(peer.read_body(head)))
        peer.send(answer_bytes())

    odd(script)
    size = 48 * MIB
    sock = socket.create_connection(("127.0.0.1", odd_front.port))
    with sock:
        sock.sendall(
            f"POST /v1/accounts/{GROUP}/files HTTP/1.1\r\nHost: x\r\n{KEY}"
            f"Content-Type: text/csv\r\nContent-Length: {size}\r\n\r\n".encode()
        )
        sent = _fill(sock, size)
        assert sent < 24 * MIB, "the front holds what the cluster did not take"
        go_on.set()
        sock.settimeout(PATIENCE_S)
        while sent < size:
            sent += sock.send(bytes(min(MIB, size - sent)))
        assert b" 200 " in sock.recv(65_536)
    assert got == [size]


def _fill(sock: socket.socket, size: int) -> int:
    """Send until the other side takes no more for a while; how much it took."""
    sock.settimeout(0.5)
    sent = 0
    try:
        while sent < size:
            sent += sock.send(bytes(min(MIB, size - sent)))
    except TimeoutError:
        pass
    return sent


def test_an_export_is_not_held(odd_front: RunningFront, odd: Make) -> None:
    """A client that does not take it stops the cluster."""
    size = 48 * MIB
    stopped: list[int] = []
    full = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n" % size)
        sent = _fill(peer.sock, size)
        stopped.append(sent)
        full.set()
        peer.sock.settimeout(PATIENCE_S)
        while sent < size:
            sent += peer.sock.send(bytes(min(MIB, size - sent)))

    odd(script)
    connection = http.client.HTTPConnection("127.0.0.1", odd_front.port, timeout=PATIENCE_S)
    connection.request("GET", f"{PATH}/{GROUP}/export", headers={"Authorization": "Bearer llk_x"})
    assert full.wait(PATIENCE_S)
    assert stopped[0] < 24 * MIB, "the front holds what the client did not take"
    response = connection.getresponse()
    assert len(response.read()) == size
    connection.close()


def test_a_frozen_cluster_leaves_room_for_the_others(
    odd_front: RunningFront, odd: Make, monkeypatch: pytest.MonkeyPatch, cluster_a: Longlist
) -> None:
    """It takes its share of the front, and no more; what waits too long is told so."""
    monkeypatch.setattr(upstream, "ANSWER_S", 1.0)
    monkeypatch.setattr(odd_front.front.clusters, "_most", 2)
    assert clusters._SHARE < 1

    def freeze(peer: Peer) -> None:
        peer.read_head()
        peer.read_head()  # until the front hangs up

    cluster = odd(freeze)
    other = Tenant(cluster_a)
    odd_front.change(store.add_cluster_everywhere, "a", f"http://127.0.0.1:{cluster_a.port}")
    odd_front.change(store.place_everywhere, other.group.hex(), "a")
    statuses: list[int] = []
    waiting = [
        threading.Thread(target=lambda: statuses.append(client(odd_front).get(PATH).status))
        for _ in range(2)
    ]
    for thread in waiting:
        thread.start()
    while cluster.connections < 2:
        pass
    assert client(odd_front).get(PATH).status == 503
    assert cluster.connections == 2
    through(odd_front, other).get("AG/audiences").expect(200)
    for thread in waiting:
        thread.join()
    assert statuses == [503, 503]
    odd_front.change(store.forget_everywhere, other.group.hex())
    odd_front.change(store.remove_cluster_everywhere, "a")
