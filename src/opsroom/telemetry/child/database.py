"""The engine inside this process: opened with bounded caches and threads, its tables, its errors."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opsroom.kernel.errors import Invalid, TooLarge, Unavailable
from opsroom.telemetry.limits import Limits

_CODES = {
    158: "reads more rows than one query may",
    159: "took longer than one query may",
    160: "would take longer than one query may",
    241: "needs more memory than one query may use",
    307: "reads more bytes than one query may",
    396: "gives more rows than one query may",
}


class Database:
    """The folder belongs to this process alone; `connect` gives each lane its own connection."""

    def __init__(self, folder: Path, limits: Limits, *, durable: bool) -> None:
        # chDB imports pyarrow where it finds it, for interfaces that are not used here: 45 MB of memory.
        sys.modules.setdefault("pyarrow", None)  # type: ignore[arg-type]
        from chdb.state.sqlitelike import Connection

        self._open = Connection
        options = _server_options(limits)
        self._url = f"{folder}?{'&'.join(f'{name}={value}' for name, value in options.items())}"
        self._limits = limits
        first = self.connect("ingest")
        for statement in _tables(limits, durable=durable):
            first.run(statement)
        self._first = first

    def connect(self, lane: str) -> Connection:
        """A connection with the lane's limits on time and memory."""
        connection = Connection(self._open(self._url))
        for name, value in _session_options(self._limits, lane).items():
            connection.run(f"SET {name} = {value}")
        return connection

    def tidy(self) -> None:
        """Gives memory that is free back to the system."""
        self._first.run("SYSTEM JEMALLOC PURGE")


class Connection:
    """One conversation with the engine, one statement at a time."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._lock = threading.Lock()

    def run(self, sql: str) -> None:
        with self._lock, _translated(sql):
            self._inner.query(sql, "Null")

    def rows(self, sql: str, form: str = "RowBinary") -> bytes:
        """The whole answer in one of the engine's formats."""
        with self._lock, _translated(sql):
            return bytes(self._inner.query(sql, form).bytes())

    def stream(self, sql: str, form: str = "Native") -> Iterator[bytes]:
        """The answer piece by piece, so that it is never whole in memory."""
        with self._lock, _translated(sql), self._inner.send_query(sql, form) as stream:
            for piece in stream:
                yield piece.bytes()

    def insert(self, table: str, names: str, form: str, pieces: list[bytes]) -> int:
        """Inserts rows already encoded; returns how many were written."""
        with self._lock, _translated(table), self._inner.send_insert(f"INSERT INTO {table} ({names})", form) as sink:
            for piece in pieces:
                sink.append(piece)
            return int(sink.finish().rows_written)


class _translated:  # noqa: N801
    """The engine's errors as ours: limits are the user's to mend, the rest keeps its text."""

    def __init__(self, sql: str) -> None:
        self._sql = sql

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, RuntimeError):
            return
        text = str(error)
        code = int(text.partition("Code: ")[2].partition(".")[0] or 0) if "Code: " in text else 0
        if code in _CODES:
            raise TooLarge(f"the question {_CODES[code]}; ask for less or for a shorter time") from None
        if code == 427:
            raise Invalid(f"a regular expression is not valid: {_reason(text)}") from None
        if code == 243:
            raise Unavailable("the disk that holds telemetry is full; free space") from None


def _reason(text: str) -> str:
    return " ".join(text.partition("Exception: ")[2].split())[:300]


def literal(text: str) -> str:
    """An SQL string literal: every byte but letters, digits and a few marks is written as \\xHH, so nothing can end it."""
    return (
        "'"
        + "".join(
            chr(b) if (chr(b).isalnum() and b < 128) or b in b" _.-:/" else f"\\x{b:02x}"
            for b in text.encode("utf-8", "replace")
        )
        + "'"
    )


def _server_options(limits: Limits) -> dict[str, int | str]:
    """Server settings at their defaults cache gigabytes and keep hundreds of threads; these are for a small machine."""
    megabyte = 1 << 20
    return {
        "max_server_memory_usage": limits.memory,
        "mark_cache_size": 8 * megabyte,
        "index_mark_cache_size": 4 * megabyte,
        "primary_index_cache_size": 8 * megabyte,
        "uncompressed_cache_size": 0,
        "index_uncompressed_cache_size": 0,
        "mmap_cache_size": 16,
        "query_condition_cache_size": megabyte,
        "compiled_expression_cache_size": megabyte,
        "text_index_tokens_cache_size": 4 * megabyte,
        "text_index_header_cache_size": 4 * megabyte,
        "text_index_postings_cache_size": 8 * megabyte,
        "vector_similarity_index_cache_size": 0,
        "parquet_metadata_cache_size": 0,
        "iceberg_metadata_files_cache_size": 0,
        "background_pool_size": 1,
        "background_merges_mutations_concurrency_ratio": 2,
        "background_schedule_pool_size": 2,
        "background_schedule_pool_initial_size": 1,
        "max_thread_pool_size": 48,
        "max_thread_pool_free_size": 0,
        "max_io_thread_pool_size": 8,
        "merges_mutations_memory_usage_soft_limit": limits.memory // 3,
    }


def _session_options(limits: Limits, lane: str) -> dict[str, int | float]:
    memory = limits.memory // 2 if lane == "ingest" else limits.memory // 3
    options: dict[str, int | float] = {
        "max_threads": limits.threads,
        "max_insert_threads": 1,
        "max_memory_usage": memory,
        "max_block_size": 32_768,
        "max_query_size": 16_000_000,
        "min_insert_block_size_rows": 200_000,
        "min_insert_block_size_bytes": 16_000_000,
        "max_partitions_per_insert_block": 0,
        "optimize_on_insert": 0,
        "log_queries": 0,
    }
    if lane != "ingest":
        options["max_execution_time"] = limits.query_seconds
    return options


def _tables(limits: Limits, *, durable: bool) -> list[str]:
    """Times are integers (samples: ms, logs: µs since the epoch). TTL 0 days keeps for ever."""
    settings = f"index_granularity = 8192, ttl_only_drop_parts = 1, fsync_after_insert = {int(durable)}"

    def ttl(column: str, days: int) -> str:
        return f"TTL toDateTime({column}) + INTERVAL {days} DAY" if days else ""

    return [
        "CREATE DATABASE IF NOT EXISTS telemetry",
        f"""CREATE TABLE IF NOT EXISTS telemetry.series (
            id UInt64, metric LowCardinality(String), labels Map(LowCardinality(String), String), seen UInt32
        ) ENGINE = ReplacingMergeTree(seen) ORDER BY (metric, id)
        {ttl("seen", limits.sample_days + 1 if limits.sample_days else 0)}""",
        f"""CREATE TABLE IF NOT EXISTS telemetry.samples (
            series UInt64 CODEC(ZSTD(1)), time Int64 CODEC(DoubleDelta, ZSTD(1)), value Float64 CODEC(Gorilla, ZSTD(1))
        ) ENGINE = MergeTree PARTITION BY intDiv(time, 86400000) ORDER BY (series, time)
        {ttl("intDiv(time, 1000)", limits.sample_days)} SETTINGS {settings}""",
        f"""CREATE TABLE IF NOT EXISTS telemetry.logs (
            id UInt64 CODEC(Delta, ZSTD(1)), time Int64 CODEC(Delta, ZSTD(1)), service LowCardinality(String),
            environment LowCardinality(String), level LowCardinality(String), message String CODEC(ZSTD(1)),
            trace_id String CODEC(ZSTD(1)), attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
            INDEX words lower(message) TYPE text(tokenizer = 'splitByNonAlpha'),
            INDEX traces trace_id TYPE bloom_filter GRANULARITY 4
        ) ENGINE = MergeTree PARTITION BY intDiv(time, 86400000000) ORDER BY (time, id)
        {ttl("intDiv(time, 1000000)", limits.log_days)} SETTINGS {settings}""",
        """CREATE TABLE IF NOT EXISTS telemetry.metadata (
            metric String, type LowCardinality(String), help String, unit LowCardinality(String), seen UInt32
        ) ENGINE = ReplacingMergeTree(seen) ORDER BY metric""",
        "CREATE TABLE IF NOT EXISTS telemetry.held_samples (series UInt64, time Int64, value Float64) ENGINE = Memory",
        """CREATE TABLE IF NOT EXISTS telemetry.held_logs (
            id UInt64, time Int64, service String, environment String, level String, message String, trace_id String,
            attributes Map(LowCardinality(String), String)
        ) ENGINE = Memory""",
    ]
