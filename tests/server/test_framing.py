"""Framing (contract 1.1): what is refused, what is let through, and that nothing gets by."""

from __future__ import annotations

import pytest

from longlist.server.reader import Limits, is_host
from tests.server.raw_http import CHUNKED, HEAD, HOST, LINE, ServerUnderTest, assert_refused

# Stands where raw input could be repeated in an answer.
MARK = "zqxmark"

MALFORMED: dict[str, str | bytes] = {
    # Request line
    "empty line before the version": "GET /echo\r\n\r\n",
    "no target": "GET HTTP/1.1\r\n" + HOST + "\r\n",
    "no method": f" /{MARK} HTTP/1.1\r\n" + HOST + "\r\n",
    "method that is no token": f"G(T /{MARK} HTTP/1.1\r\n" + HOST + "\r\n",
    "tab after the method": "GET\t/echo HTTP/1.1\r\n" + HOST + "\r\n",
    "tab before the version": "GET /echo\tHTTP/1.1\r\n" + HOST + "\r\n",
    "space in the target": f"GET /echo {MARK} HTTP/1.1\r\n" + HOST + "\r\n",
    "space after the version": "GET /echo HTTP/1.1 \r\n" + HOST + "\r\n",
    "bare LF after the request line": "GET /echo HTTP/1.1\n" + HOST + "\r\n",
    "bare LF everywhere": "GET /echo HTTP/1.1\nHost: localhost\n\n",
    "HTTP/0.9": "GET /echo HTTP/0.9\r\n" + HOST + "\r\n",
    "HTTP/1.2": "GET /echo HTTP/1.2\r\n" + HOST + "\r\n",
    "HTTP/2.0": "GET /echo HTTP/2.0\r\n" + HOST + "\r\n",
    "HTTP/10.1": "GET /echo HTTP/10.1\r\n" + HOST + "\r\n",
    "lower-case version": "GET /echo http/1.1\r\n" + HOST + "\r\n",
    "no digits in the version": "GET /echo HTTP/x.y\r\n" + HOST + "\r\n",
    "HTTP/2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "an HTTP response": "HTTP/1.1 200 OK\r\n\r\n",
    "an SSH banner": "SSH-2.0-OpenSSH_9.2\r\n",
    "byte order mark": b"\xef\xbb\xbfGET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "target without a slash": f"GET {MARK} HTTP/1.1\r\n" + HOST + "\r\n",
    "query without a path": f"GET ?{MARK} HTTP/1.1\r\n" + HOST + "\r\n",
    "fragment in the target": f"GET /echo#{MARK} HTTP/1.1\r\n" + HOST + "\r\n",
    "fragment in an absolute target": "GET http://localhost#/echo HTTP/1.1\r\n" + HOST + "\r\n",
    "NUL in the target": b"GET /echo\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "control character in the target": b"GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "DEL in the target": b"GET /\x7f HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "eight-bit target": b"GET /\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "asterisk with GET": "GET * HTTP/1.1\r\n" + HOST + "\r\n",
    "absolute target of another scheme": "GET ftp://localhost/ HTTP/1.1\r\n" + HOST + "\r\n",
    "absolute target without a host": "GET http:///echo HTTP/1.1\r\n" + HOST + "\r\n",
    "absolute target with credentials": f"GET http://{MARK}@localhost/ HTTP/1.1\r\n{HOST}\r\n",
    "CONNECT": f"CONNECT {MARK}:443 HTTP/1.1\r\n" + HOST + "\r\n",
    # Host
    "no Host": LINE + "\r\n",
    "no Host on HTTP/1.0": "GET /echo HTTP/1.0\r\n\r\n",
    "two Hosts": LINE + HOST + f"Host: {MARK}\r\n\r\n",
    "the same Host twice": LINE + HOST + HOST + "\r\n",
    "three Hosts": LINE + HOST * 3 + "\r\n",
    "empty Host": LINE + "Host:\r\n\r\n",
    "Host with a space": LINE + f"Host: local {MARK}\r\n\r\n",
    "Host list": LINE + f"Host: localhost, {MARK}\r\n\r\n",
    "Host with a path": LINE + f"Host: localhost/{MARK}\r\n\r\n",
    "Host with credentials": LINE + f"Host: {MARK}@localhost\r\n\r\n",
    "Host with a bad port": LINE + f"Host: localhost:{MARK}\r\n\r\n",
    "Host with a port out of range": LINE + "Host: localhost:65536\r\n\r\n",
    "Host with two ports": LINE + "Host: localhost:80:80\r\n\r\n",
    "Host with a port alone": LINE + "Host: :8080\r\n\r\n",
    "Host with bare IPv6": LINE + "Host: ::1\r\n\r\n",
    "Host with broken IPv6": LINE + "Host: [1::2::3]\r\n\r\n",
    "Host with unclosed IPv6": LINE + "Host: [::1\r\n\r\n",
    "Host with broken percent-encoding": LINE + "Host: a%zz\r\n\r\n",
    "eight-bit Host": b"POST /echo HTTP/1.1\r\nHost: \xe9\r\n\r\n",
    "Host too long": LINE + "Host: " + "a" * 300 + "\r\n\r\n",
    # Headers
    "bare LF after a header": LINE + "Host: localhost\n\r\n",
    "bare LF at the end": HEAD + "\n",
    "bare CR in a value": HEAD + f"X: a\r{MARK}\r\n\r\n",
    "CR CR LF": LINE + "Host: localhost\r\r\n\r\n",
    "continuation line": HEAD + f"X: a\r\n {MARK}\r\n\r\n",
    "continuation line with a tab": HEAD + "X: a\r\n\tb\r\n\r\n",
    "continuation of an empty value": HEAD + "X:\r\n b\r\n\r\n",
    "continuation before the first header": LINE + " X: a\r\n" + HOST + "\r\n",
    "NUL in a value": HEAD + f"X: a\0{MARK}\r\n\r\n",
    "control character in a value": HEAD + "X: a\x01b\r\n\r\n",
    "NUL in a name": HEAD + "X\0: a\r\n\r\n",
    "space before the colon": HEAD + f"{MARK} : a\r\n\r\n",
    "tab before the colon": HEAD + "X\t: a\r\n\r\n",
    "space in a name": HEAD + "X Y: a\r\n\r\n",
    "no colon": HEAD + f"{MARK}\r\n\r\n",
    "empty name": HEAD + ": a\r\n\r\n",
    "bracket in a name": HEAD + "a(b): 1\r\n\r\n",
    "eight-bit name": b"POST /echo HTTP/1.1\r\nHost: localhost\r\n\xe9: 1\r\n\r\n",
    # Lengths
    "plus sign in Content-Length": HEAD + "Content-Length: +5\r\n\r\nhello",
    "negative Content-Length": HEAD + "Content-Length: -1\r\n\r\n",
    "exponent in Content-Length": HEAD + "Content-Length: 1e3\r\n\r\n",
    "hexadecimal Content-Length": HEAD + "Content-Length: 0x5\r\n\r\nhello",
    "fraction in Content-Length": HEAD + "Content-Length: 5.0\r\n\r\nhello",
    "empty Content-Length": HEAD + "Content-Length:\r\n\r\n",
    "Content-Length in words": HEAD + f"Content-Length: {MARK}\r\n\r\n",
    "list of equal Content-Lengths": HEAD + "Content-Length: 5, 5\r\n\r\nhello",
    "spaced Content-Length": HEAD + "Content-Length: 5 5\r\n\r\nhello",
    "two equal Content-Lengths": HEAD + "Content-Length: 5\r\n" * 2 + "\r\nhello",
    "two Content-Lengths": HEAD + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "vertical tab in Content-Length": HEAD + "Content-Length: \x0b5\r\n\r\nhello",
    # Transfer codings
    "length, then chunked": HEAD
    + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, then length": HEAD
    + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "unknown coding": HEAD + f"Transfer-Encoding: {MARK}\r\n\r\n",
    "gzip": HEAD + "Transfer-Encoding: gzip\r\n\r\n",
    "gzip, then chunked": HEAD + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, then gzip": HEAD + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice in one header": HEAD + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "two codings": HEAD + "Transfer-Encoding: chunked\r\n" * 2 + "\r\n0\r\n\r\n",
    "identity and chunked": (
        HEAD + "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "identity": HEAD + "Transfer-Encoding: identity\r\n\r\n",
    "empty coding": HEAD + "Transfer-Encoding:\r\n\r\n",
    "coding that ends in chunked": HEAD + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding with a parameter": HEAD + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "quoted coding": HEAD + 'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "vertical tab before the coding": HEAD + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked on HTTP/1.0": (
        "POST /echo HTTP/1.0\r\n" + HOST + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    # Chunks
    "chunk size in words": CHUNKED + f"{MARK}\r\n",
    "negative chunk size": CHUNKED + "-1\r\n",
    "plus sign in a chunk size": CHUNKED + "+5\r\nhello\r\n0\r\n\r\n",
    "0x in a chunk size": CHUNKED + "0x5\r\nhello\r\n0\r\n\r\n",
    "empty chunk size": CHUNKED + "\r\nhello\r\n0\r\n\r\n",
    "space after a chunk size": CHUNKED + "5 \r\nhello\r\n0\r\n\r\n",
    "chunk size beyond 64 bits": CHUNKED + "f" * 17 + "\r\n",
    "LF after a chunk size": CHUNKED + "5\nhello\r\n0\r\n\r\n",
    "chunk longer than it says": CHUNKED + f"3\r\nhel{MARK}\r\n0\r\n\r\n",
    "chunk without its end": CHUNKED + "5\r\nhello0\r\n\r\n",
    "LF after a chunk": CHUNKED + "5\r\nhello\n0\r\n\r\n",
    "LF in a chunk extension": CHUNKED + "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "CR LF in a quoted chunk extension": CHUNKED + '5;a="b\r\nc"\r\nhello\r\n0\r\n\r\n',
    "LF at the end of the chunks": CHUNKED + "0\n\n",
    "Content-Length in the trailer": CHUNKED + "0\r\nContent-Length: 5\r\n\r\n",
    "continuation line in the trailer": CHUNKED + "0\r\nX: 5\r\n y\r\n\r\n",
    "NUL in the trailer": CHUNKED + "0\r\nX: \0\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_is_400_in_the_envelope(server: ServerUnderTest, name: str) -> None:
    data = MALFORMED[name]
    raw = data.encode("latin-1") if isinstance(data, str) else data
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with server.connect() as client:
        client.send(raw + smuggled)
        answer = client.read_answer()
        assert_refused(answer, 400, "VALIDATION_ERROR")
        assert MARK not in answer.body.decode()
        assert client.at_end()
    assert "/smuggled" not in server.app.paths()
    # A broken body may have begun to reach the application, but never in full.
    assert server.app.bodies == {}


@pytest.mark.parametrize("name", ["two Hosts", "chunk size in words", "HTTP/2.0", "gzip"])
def test_malformed_byte_by_byte(server: ServerUnderTest, name: str) -> None:
    raw = MALFORMED[name]
    assert isinstance(raw, str)
    with server.connect() as client:
        for character in raw:
            client.send(character)
        assert_refused(client.read_answer(), 400, "VALIDATION_ERROR")
        assert client.at_end()


SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
SMUGGLING = {
    "CL.TE": HEAD + f"Content-Length: {len(SMUGGLED) + 5}\r\nTransfer-Encoding: chunked\r\n\r\n"
    "0\r\n\r\n" + SMUGGLED,
    "TE.CL": HEAD + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
    f"{len(SMUGGLED):x}\r\n{SMUGGLED}\r\n0\r\n\r\n",
    "CL.CL": HEAD + f"Content-Length: 0\r\nContent-Length: {len(SMUGGLED)}\r\n\r\n" + SMUGGLED,
    "TE.TE": HEAD
    + "Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "hidden by a space": HEAD
    + "Transfer-Encoding : chunked\r\nContent-Length: 4\r\n\r\n"
    + SMUGGLED,
    "hidden by a continuation": HEAD + "X: y\r\n Transfer-Encoding: chunked\r\n"
    "Content-Length: 4\r\n\r\n" + SMUGGLED,
    "hidden by LF": HEAD + "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "hidden by CR": HEAD + "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "hidden by NUL": HEAD + "Transfer-Encoding: chunked\0\r\nContent-Length: 4\r\n\r\n" + SMUGGLED,
    "chunk extension with LF": CHUNKED + "0;\n" + SMUGGLED,
    "chunk size that overflows": CHUNKED + "10000000000000000\r\n" + SMUGGLED,
    "upgrade with two lengths": HEAD + "Connection: upgrade\r\nUpgrade: h2c\r\n"
    "Content-Length: 4\r\nContent-Length: 5\r\n\r\n" + SMUGGLED,
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_smuggling_forms_are_refused_once(server: ServerUnderTest, name: str) -> None:
    with server.connect() as client:
        client.send(SMUGGLING[name])
        assert_refused(client.read_answer(), 400, "VALIDATION_ERROR")
        assert client.at_end()
    assert "/smuggled" not in server.app.paths()


def test_body_is_no_request(server: ServerUnderTest) -> None:
    with server.connect() as client:
        client.send(HEAD + f"Content-Length: {len(SMUGGLED)}\r\n\r\n{SMUGGLED}")
        assert client.read_answer().json["body"] == SMUGGLED
    assert server.app.paths() == ["/echo"]


def test_end_of_a_body_before_an_unknown_method_is_no_request(server: ServerUnderTest) -> None:
    """An unknown method is read again from the start of its segment, but only if it starts it."""
    end = SMUGGLED.replace("GET", "BAR")
    with server.connect() as client:
        client.send(HEAD + f"Content-Length: {len(end) + 2}\r\n\r\n..")
        assert server.app.reached.wait(10)
        client.send(end + "FOO /echo HTTP/1.1\r\n" + HOST + "\r\n")
        assert client.read_answer().json["body"] == ".." + end
        assert_refused(client.read_answer(), 400, "VALIDATION_ERROR")
        assert client.at_end()
    assert server.app.paths() == ["/echo"]


class TestSizes:
    def test_target_of_8_kib(self, server: ServerUnderTest) -> None:
        longest = "/" + "a" * 8191
        assert server.ask(f"GET {longest} HTTP/1.1\r\n{HOST}\r\n").json["path"] == longest
        answer = server.ask(f"GET {longest}a HTTP/1.1\r\n{HOST}\r\n")
        assert_refused(answer, 414, "URI_TOO_LONG")

    def test_target_without_end(self, server: ServerUnderTest) -> None:
        with server.connect() as client:
            client.send("GET /" + "a" * 9000)
            assert_refused(client.read_answer(), 414, "URI_TOO_LONG")
            assert client.at_end()

    def test_hundred_headers(self, server: ServerUnderTest) -> None:
        many = "".join(f"X-{n}: 1\r\n" for n in range(99))
        answer = server.ask(f"GET /echo HTTP/1.1\r\n{HOST}{many}\r\n")
        assert len(answer.json["headers"]) == 100
        answer = server.ask(f"GET /echo HTTP/1.1\r\n{HOST}{many}X-99: 1\r\n\r\n")
        assert_refused(answer, 431, "HEADERS_TOO_LARGE")

    def test_header_bytes(self, server: ServerUnderTest) -> None:
        room = 32_768 - len("Host: localhost\r\n") - len("X: \r\n")
        fits = f"GET /echo HTTP/1.1\r\n{HOST}X: {'a' * room}\r\n\r\n"
        assert server.ask(fits).status == 200
        answer = server.ask(f"GET /echo HTTP/1.1\r\n{HOST}X: {'a' * (room + 1)}\r\n\r\n")
        assert_refused(answer, 431, "HEADERS_TOO_LARGE")

    @pytest.mark.parametrize(
        "start",
        [
            f"GET /echo HTTP/1.1\r\n{HOST}X: ",
            f"GET /echo HTTP/1.1\r\n{HOST}X",
            f"HEAD /echo HTTP/1.1\r\n{HOST}X: ",
            CHUNKED + "5\r\nhello\r\n0\r\nX: ",
            CHUNKED + "5;",
        ],
        ids=["value", "name", "value of HEAD", "trailer", "chunk extension"],
    )
    def test_header_without_end(self, server: ServerUnderTest, start: str) -> None:
        head_only = start.startswith("HEAD")
        with server.connect() as client:
            client.send(start + "a" * 60_000)
            answer = client.read_answer(head_only=head_only)
            assert_refused(answer, 431, "HEADERS_TOO_LARGE", head_only=head_only)
            assert client.at_end()
        assert server.app.bodies == {}

    @pytest.mark.parametrize("length", [(1 << 30) + 1, 2**64 - 1, 10**30])
    def test_declared_length(self, server: ServerUnderTest, length: int) -> None:
        answer = server.ask(HEAD + f"Content-Length: {length}\r\n\r\n")
        assert_refused(answer, 413, "PAYLOAD_TOO_LARGE")
        assert answer.json["error"]["context"] == {"limitBytes": Limits().body_bytes}
        assert server.app.requests == []

    def test_refused_sender_lives_to_read_the_answer(self, server: ServerUnderTest) -> None:
        with server.connect() as client:
            client.send(HEAD + f"Content-Length: {1 << 31}\r\n\r\n")
            for _ in range(64):
                client.send(bytes(65_536))
            assert_refused(client.read_answer(), 413, "PAYLOAD_TOO_LARGE")


class TestLetThrough:
    @pytest.mark.parametrize(
        "method",
        ["GET", "PUT", "PATCH", "DELETE", "TRACE", "PURGE", "QUERY", "PROPFIND", "M-SEARCH"],
    )
    def test_known_methods(self, server: ServerUnderTest, method: str) -> None:
        answer = server.ask(f"{method} /echo HTTP/1.1\r\n{HOST}\r\n")
        assert answer.json["method"] == method

    @pytest.mark.parametrize(
        "method", ["FOO", "get", "Patch", "GETX", "DESCRIBE", "X!#$%&'*+-.^_`|~1"]
    )
    def test_methods_the_parser_does_not_know(self, server: ServerUnderTest, method: str) -> None:
        with server.connect() as client:
            client.send(f"{method} /a?b HTTP/1.1\r\n{HOST}Content-Length: 2\r\n\r\nhi")
            answer = client.read_answer().json
            assert (answer["method"], answer["path"], answer["body"]) == (method, "/a", "hi")
            client.send(f"GET /echo HTTP/1.1\r\n{HOST}\r\n")
            assert client.read_answer().json["method"] == "GET"

    @pytest.mark.parametrize(
        ("target", "path", "raw_path", "query"),
        [
            ("/a%20b", "/a b", "/a%20b", ""),
            ("/a%2Fb", "/a/b", "/a%2Fb", ""),
            ("/%ff%fe", "/\ufffd\ufffd", "/%ff%fe", ""),
            ("/%c3%a9", "/é", "/%c3%a9", ""),
            ("/%00", "/\0", "/%00", ""),
            ("/%zz%", "/%zz%", "/%zz%", ""),
            ("//double/../x", "//double/../x", "//double/../x", ""),
            ("/?a=%ff&b?c", "/", "/", "a=%ff&b?c"),
            ("http://other.example:81/p?q", "/p", "/p", "q"),
            ("HTTP://other.example", "/", "/", ""),
            ("https://[::1]?q", "/", "/", "q"),
        ],
    )
    def test_targets(
        self, server: ServerUnderTest, target: str, path: str, raw_path: str, query: str
    ) -> None:
        data = server.ask(f"GET {target} HTTP/1.1\r\n{HOST}\r\n").json
        assert (data["path"], data["rawPath"], data["query"]) == (path, raw_path, query)

    def test_options_asterisk(self, server: ServerUnderTest) -> None:
        assert server.ask(f"OPTIONS * HTTP/1.1\r\n{HOST}\r\n").json["path"] == "*"

    @pytest.mark.parametrize(
        "value",
        ["localhost", "a.example.", "127.0.0.1:8080", "[::1]", "[::ffff:1.2.3.4]:1", "api_1:80",
         "a:", "xn--bcher-kva.example", "a%2d"],
    )  # fmt: skip
    def test_hosts(self, server: ServerUnderTest, value: str) -> None:
        assert is_host(value.encode())
        assert server.ask(f"GET /echo HTTP/1.1\r\nhOST: \t{value} \r\n\r\n").status == 200

    def test_chunked_body_with_extension_and_trailer(self, server: ServerUnderTest) -> None:
        with server.connect() as client:
            client.send(
                CHUNKED + '5;a="b"\r\nhello\r\n6\r\n world\r\n0\r\nAuthorization: x\r\nY: z\r\n\r\n'
                f"GET /echo HTTP/1.1\r\n{HOST}\r\n"
            )
            first, second = client.read_answer().json, client.read_answer().json
        assert first["body"] == "hello world"
        assert first["headers"] == ["host", "transfer-encoding"]
        assert second["headers"] == ["host"]

    @pytest.mark.parametrize("coding", ["chunked", "Chunked", "CHUNKED "])
    def test_coding_names_ignore_case(self, server: ServerUnderTest, coding: str) -> None:
        answer = server.ask(HEAD + f"Transfer-Encoding: {coding}\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
        assert answer.json["body"] == "hi"

    @pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.0"])
    @pytest.mark.parametrize(
        ("framing", "body", "expected"),
        [
            ("", "", ""),
            ("Content-Length: 5\r\n", "hello", "hello"),
            ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello"),
        ],
    )
    def test_upgrades_are_ignored(
        self, server: ServerUnderTest, protocol: str, framing: str, body: str, expected: str
    ) -> None:
        request = (
            f"{HEAD}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\n"
            f"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nSec-WebSocket-Version: 13\r\n"
            f"{framing}\r\n"
        )
        follow = f"GET /after HTTP/1.1\r\n{HOST}\r\n"
        with server.connect() as client:
            client.send(request + body + follow)
            assert client.read_answer().json["body"] == expected
            assert client.read_answer().json["path"] == "/after"
            for character in request + body + follow:
                client.send(character)
            assert client.read_answer().json["body"] == expected
            assert client.read_answer().json["path"] == "/after"

    def test_leading_empty_lines(self, server: ServerUnderTest) -> None:
        assert server.ask(f"\r\n\r\nGET /echo HTTP/1.1\r\n{HOST}\r\n").status == 200

    def test_eight_bit_header_value(self, server: ServerUnderTest) -> None:
        assert server.ask(b"GET /echo HTTP/1.1\r\nHost: a\r\nX: \xe9\xff\r\n\r\n").status == 200
