"""Answers are framed alike however the network splits them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.areas.performance.http1 import HEAD_LIMIT, Connection


class Wire:
    """The transport of a connection that is not there."""

    def __init__(self) -> None:
        self.closed = False
        self.written = b""

    def get_extra_info(self, name: str) -> Any:
        return SimpleNamespace(fileno=lambda: 0)

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close


def connected() -> tuple[Connection, Wire]:
    connection, wire = Connection(), Wire()
    connection.connection_made(cast(Any, wire))
    return connection, wire


def outcome(pieces: list[bytes], *, head: bool = False, ends: bool = True) -> tuple[list[tuple[int, str]], bool]:
    connection, _ = connected()
    said: list[tuple[int, str]] = []
    connection.send(b"GET / HTTP/1.1\r\n\r\n", lambda status, reason: said.append((status, reason)), head=head)
    for piece in pieces:
        if not connection.usable:
            break
        connection.data_received(piece)
    usable = connection.usable
    if ends:
        connection.connection_lost(None)
    return said, usable


LENGTHS = st.integers(0, 300)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, int, bool]:
    """An answer's bytes, its status, and whether the connection may be used again."""
    status = draw(st.sampled_from([200, 204, 304, 404, 500]))
    close, interim = draw(st.booleans()), draw(st.booleans())
    version = draw(st.sampled_from(["1.1", "1.0"]))
    head = f"HTTP/{version} {status} Whatever\r\nServer: x\r\n" + ("Connection: Keep-Alive, CLOSE\r\n" if close else "")
    if status in (204, 304):
        body, head = b"", head + draw(st.sampled_from(["", "Content-Length: 99\r\n"]))
    elif draw(st.booleans()):
        body = b"x" * draw(LENGTHS)
        head += f"content-length: {len(body)}\r\n"
    else:
        chunks = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
        trailer = draw(st.sampled_from([b"", b"X-A: 1\r\n", b"X-A: 1\r\nX-B: 2\r\n"]))
        body = b"".join(b"%x;q=1\r\n%s\r\n" % (len(one), one) for one in chunks) + b"0\r\n" + trailer + b"\r\n"
        head += "Transfer-Encoding: chunked\r\n"
    first = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" if interim else b""
    return first + head.encode() + b"\r\n" + body, status, not close and version == "1.1"


@given(answers(), st.data())
def test_any_split_gives_one_outcome(answer: tuple[bytes, int, bool], data: st.DataObject) -> None:
    text, status, usable = answer
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True) if a < b]
    assert outcome(pieces) == ([(status, "")], usable)


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_bytes_of_any_kind_give_one_outcome_and_no_error(pieces: list[bytes]) -> None:
    said, _ = outcome(pieces)
    assert len(said) == 1


@given(answers(), st.integers(0, 400))
def test_a_cut_answer_is_a_failure(answer: tuple[bytes, int, bool], cut: int) -> None:
    text, _, _ = answer
    said, _ = outcome([text[: min(cut, len(text) - 1)]])
    assert len(said) == 1 and said[0][0] == 0 and said[0][1].startswith("connection closed")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "no single content-length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "no single content-length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n", "no chunk size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "no chunk size"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "no HTTP/1 status line"),
        (b"HTTP/2 200\r\n\r\n", "no HTTP/1 status line"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "status 101"),
        (b"x" * (HEAD_LIMIT + 1), "head over"),
    ],
)
def test_a_malformed_answer_says_what_is_wrong(text: bytes, reason: str) -> None:
    said, usable = outcome([text])
    assert len(said) == 1 and said[0][0] == 0 and said[0][1].startswith(f"malformed answer: {reason}")
    assert not usable


def test_an_answer_to_head_has_no_body() -> None:
    said, usable = outcome([b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"], head=True)
    assert said == [(200, "")] and usable


def test_an_answer_that_lasts_until_the_end_is_whole_when_it_ends() -> None:
    assert outcome([b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000]) == ([(200, "")], True)
    said, _ = outcome([b"HTTP/1.1 200 OK\r\n\r\n"], ends=False)
    assert said == []


def test_what_nobody_asked_for_ends_the_connection() -> None:
    said, usable = outcome([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 408 Request Timeout\r\n\r\n"])
    assert said == [(200, "")] and not usable
    connection, wire = connected()
    connection.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert wire.closed and not connection.usable


def test_a_request_on_a_closed_connection_fails_at_once() -> None:
    connection, _ = connected()
    connection.connection_lost(None)
    said: list[tuple[int, str]] = []
    connection.send(b"", lambda status, reason: said.append((status, reason)))
    assert said == [(0, "connection closed before the answer")]
