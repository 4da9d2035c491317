"""Answers the server's questions: one thread a connection, one lane for ingestion, one for rules, a few for pages."""

# ruff: noqa: S608 - SQL here is built of constants, integers and `literal`, never of text as it came

from __future__ import annotations

import queue
import socket
import threading
import time
import traceback
from array import array
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from opsroom.kernel.errors import Invalid, Unavailable, UserError
from opsroom.telemetry import wire
from opsroom.telemetry.child import logreads
from opsroom.telemetry.child.database import Connection, Database, literal
from opsroom.telemetry.child.ingest import Ingest, decode_batch
from opsroom.telemetry.child.memory import drop_file_pages, release, resident_bytes
from opsroom.telemetry.child.selects import StoredSource
from opsroom.telemetry.columns import RowReader
from opsroom.telemetry.limits import Limits
from opsroom.telemetry.port import QueryResult
from opsroom.telemetry.promql.matchers import Alternatives, Matcher
from opsroom.telemetry.promql.parse import parse_selector

_TIDY_SECONDS = 15.0

Answer = tuple[dict[str, Any], bytes]


class Worker:
    """One connection to the engine and PromQL's source over it; used by one question at a time."""

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self.db = connection
        self.source = StoredSource(connection, limits)


class Server:
    """Serves a listening socket until it is told to stop, or nobody has been connected for `limits.linger` seconds."""

    def __init__(self, database: Database, folder: Path, limits: Limits, *, durable: bool) -> None:
        self._limits, self._database, self._durable = limits, database, durable
        self._ingest = Ingest(database.connect("ingest"), folder / "applied.json", durable=durable)
        self._ingesting = threading.Lock()
        self._lanes: dict[str, queue.Queue[Worker]] = {"rules": queue.Queue(), "pages": queue.Queue()}
        self._free = {"rules": 1, "pages": limits.pages}
        self._making = threading.Lock()
        self._stop = threading.Event()
        self._connected = 0
        self._counting = threading.Lock()
        self._last_seen = self._last_used = time.monotonic()

    def serve(self, listener: socket.socket) -> None:
        """Returns when it is over; what is being answered gets a second to finish."""
        listener.settimeout(0.5)
        tidied = 0.0
        while not self._stop.is_set():
            try:
                sock, _ = listener.accept()
            except TimeoutError:
                if not self._connected and time.monotonic() - self._last_seen > self._limits.linger:
                    return
                if self._last_used > tidied and time.monotonic() - tidied > _TIDY_SECONDS:
                    self._database.tidy()
                    release()
                    drop_file_pages()
                    tidied = time.monotonic()
                continue
            with self._counting:
                self._connected += 1
            threading.Thread(target=self._converse, args=(sock,), daemon=True).start()

    def _converse(self, sock: socket.socket) -> None:
        try:
            with sock:
                while True:
                    header, body = wire.receive(sock)
                    answer, raw = self._answered(header, bytes(body))
                    wire.send(sock, answer, raw)
                    if header["op"] == "stop":
                        self._stop.set()
        except wire.Closed:
            pass  # the other side went away, which ends the conversation
        finally:
            with self._counting:
                self._connected -= 1
                self._last_seen = time.monotonic()

    def _answered(self, header: dict[str, Any], body: bytes) -> Answer:
        try:
            if header["op"] not in {"health", "ping"}:
                self._last_used = time.monotonic()
            operation = _OPERATIONS.get(header["op"])
            if operation is None:
                raise Invalid(f"the telemetry process knows no {header['op']!r}")
            return operation(self, header, body)
        except UserError as error:
            return wire.error_header(error), b""
        except MemoryError:
            return wire.error_header(Unavailable("the telemetry process is at its memory cap; ask for less")), b""
        except Exception as error:  # a bug here must be told, and must not end the process
            return wire.error_header(error, traceback.format_exc()), b""

    def _in_lane(self, header: dict[str, Any], work: Callable[[Worker], Answer]) -> Answer:
        """Runs with a worker of the lane, waiting for one as long as a query may take."""
        lane = header.get("lane", "pages")
        with self._making:
            if self._free[lane]:
                self._free[lane] -= 1
                self._lanes[lane].put(Worker(self._database.connect(lane), self._limits))
        try:
            worker = self._lanes[lane].get(timeout=self._limits.query_seconds)
        except queue.Empty:
            raise Unavailable(f"telemetry is busy: all {lane} questions are being answered; try again") from None
        try:
            worker.source.at_version(self._ingest.version)
            return work(worker)
        finally:
            self._lanes[lane].put(worker)

    def _hello(self, header: dict[str, Any], _: bytes) -> Answer:
        ids = self._database_rows("SELECT DISTINCT id FROM telemetry.series")
        about = {
            "version": wire.VERSION,
            "limits": asdict(self._limits),
            "durable": self._durable,
            "applied": self._ingest.applied(header["spool"]),
        }
        return about, ids

    def _health(self, _: dict[str, Any], __: bytes) -> Answer:
        reader = RowReader(
            self._database_rows(
                "SELECT table, sum(rows) FROM system.parts WHERE active AND database = 'telemetry' GROUP BY table"
            )
        )
        rows: dict[str, int] = {}
        while reader:
            table = reader.string()
            rows[table] = reader.uint64()
        counts = {name: rows.get(name, 0) for name in ("series", "samples", "logs")}
        return {"memory": resident_bytes(), **counts}, b""

    def _apply(self, header: dict[str, Any], body: bytes) -> Answer:
        with self._ingesting:
            return {"applied": self._ingest.apply(header["spool"], decode_batch(header, body))}, b""

    def _query(self, header: dict[str, Any], _: bytes) -> Answer:
        from opsroom.telemetry.promql.engine import query

        within = _within(header)
        return self._in_lane(
            header, lambda w: encode_result(query(w.source.within(within), header["query"], header["at"], self._limits))
        )

    def _query_range(self, header: dict[str, Any], _: bytes) -> Answer:
        from opsroom.telemetry.promql.engine import query_range

        span, within = (header["start"], header["end"], header["step"]), _within(header)
        return self._in_lane(
            header,
            lambda w: encode_result(query_range(w.source.within(within), header["query"], *span, self._limits)),
        )

    def _series(self, header: dict[str, Any], _: bytes) -> Answer:
        selectors = [parse_selector(text) for text in header["matchers"]]
        start, end = round(header["start"] * 1000), round(header["end"] * 1000)
        within = _within(header)
        return self._in_lane(header, lambda w: ({"series": w.source.within(within).series(selectors, start, end)}, b""))

    def _metadata(self, header: dict[str, Any], _: bytes) -> Answer:
        where = f"WHERE metric = {literal(header['metric'])}" if header["metric"] else ""

        def work(worker: Worker) -> Answer:
            sql = (
                f"SELECT metric, CAST(type, 'String'), help, CAST(unit, 'String') FROM telemetry.metadata FINAL {where}"
            )
            reader = RowReader(worker.db.rows(f"{sql} ORDER BY metric LIMIT 10000"))
            found = []
            while reader:
                found.append([reader.string() for _ in range(4)])
            return {"metadata": found}, b""

        return self._in_lane(header, work)

    def _search_logs(self, header: dict[str, Any], _: bytes) -> Answer:
        asked = (header["query"], header["start"], header["end"])
        page = {"limit": header["limit"], "before": header["before"]}
        return self._in_lane(header, lambda w: (logreads.search(w.db, self._limits, *asked, **page), b""))

    def _log_histogram(self, header: dict[str, Any], _: bytes) -> Answer:
        asked = (header["query"], header["start"], header["end"])
        by = {"buckets": header["buckets"], "by": header["by"]}
        return self._in_lane(header, lambda w: ({"counts": logreads.histogram(w.db, *asked, **by)}, b""))

    def _nothing(self, _: dict[str, Any], __: bytes) -> Answer:
        return {}, b""

    def _database_rows(self, sql: str) -> bytes:
        with self._ingesting:
            return self._ingest.connection.rows(sql)


def _within(header: dict[str, Any]) -> Alternatives:
    return tuple(tuple(Matcher(*one) for one in group) for group in header.get("within", ()))


def encode_result(result: QueryResult) -> Answer:
    """Labels and counts in the header; in the body, series after series, its times and its values as float64."""
    body = bytearray()
    for one in result.series:
        body += array("d", one.times).tobytes() + array("d", one.values).tobytes()
    header = {
        "kind": result.kind,
        "text": result.text,
        "warnings": result.warnings,
        "infos": result.infos,
        "series": [[one.labels, len(one.times)] for one in result.series],
    }
    return header, bytes(body)


_OPERATIONS: dict[str, Callable[[Server, dict[str, Any], bytes], Answer]] = {
    "hello": Server._hello,
    "health": Server._health,
    "apply": Server._apply,
    "query": Server._query,
    "query_range": Server._query_range,
    "series": Server._series,
    "metadata": Server._metadata,
    "search_logs": Server._search_logs,
    "log_histogram": Server._log_histogram,
    "ping": Server._nothing,
    "stop": Server._nothing,
}
