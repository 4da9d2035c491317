"""A small HTTP server whose answers a test chooses, in a thread of its own; it counts the requests it read."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3;a=b\r\nyes\r\n0\r\nX-Sum: 1\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nas long as it takes"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
NONSENSE = b"SSH-2.0-OpenSSH_9.6\r\n\r\n"

Answer = Callable[[str], bytes]


class SmallServer:
    """`answer(path)` gives the bytes of an answer; `UNTIL_CLOSE` and b"" end the connection. While `stalled`, nothing is read."""

    def __init__(self) -> None:
        self.paths: Counter[str] = Counter()
        self.connections = 0
        self.answer: Answer = lambda path: OK
        self.stalled = threading.Event()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._idle: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self, port: int = 0) -> None:
        if not self._thread.is_alive():
            self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(port), self._loop).result(5)

    def kill(self) -> None:
        """Ends every connection and listens no more."""
        asyncio.run_coroutine_threadsafe(self._kill(), self._loop).result(5)

    def close_idle(self) -> None:
        """Ends the connections that were answered and have not asked again, as a proxy does that is configured anew."""

        def close() -> None:
            for writer in list(self._idle):
                writer.close()

        self._loop.call_soon_threadsafe(close)

    def stop(self) -> None:
        self.kill()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _listen(self, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _kill(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self._idle.discard(writer)
                while self.stalled.is_set():
                    await asyncio.sleep(0.005)
                path = head.split(b" ", 2)[1].decode()
                self.paths[path] += 1
                answer = self.answer(path)
                writer.write(answer)
                await writer.drain()
                if answer in (b"", UNTIL_CLOSE):
                    return
                self._idle.add(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            self._idle.discard(writer)
            writer.close()


@contextmanager
def serving() -> Iterator[SmallServer]:
    server = SmallServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
