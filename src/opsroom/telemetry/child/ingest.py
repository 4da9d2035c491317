"""Takes spooled records into the tables, each exactly once.

Records come in order. What was taken in is noted in a file after the tables have it, so after a crash only the records
that follow the note can be there in part: the first batch after a start, or after a failure, goes in minus what is there.
"""

# ruff: noqa: S608 - SQL here is built of constants, integers and `literal`, never of text as it came

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from opsroom.telemetry import columns
from opsroom.telemetry.child.database import Connection
from opsroom.telemetry.records import LOGS, METADATA, SAMPLES, SamplesRecord, decode_samples

_SAMPLES = "series, time, value"
_LOGS = "id, time, service, environment, level, message, trace_id, attributes"


class Ingest:
    """The one writer of the tables. `spool` names the write-ahead file that records come from; each has its own sequence."""

    def __init__(self, connection: Connection, note: Path, *, durable: bool) -> None:
        self.connection = self._db = connection
        self._note, self._durable = note, durable
        self._applied: dict[str, int] = json.loads(note.read_text()) if note.exists() else {}
        self._sure: set[str] = set()
        self.version = 0

    def applied(self, spool: str) -> int:
        """The last sequence of this spool that the tables have."""
        return self._applied.get(spool, 0)

    def apply(self, spool: str, records: list[tuple[int, int, bytes]]) -> int:
        """Takes in (sequence, kind, payload) records that are new; returns the last sequence now applied."""
        fresh = [record for record in records if record[0] > self.applied(spool)]
        if fresh:
            careful = spool not in self._sure
            self._sure.discard(spool)
            self._samples([decode_samples(p) for _, kind, p in fresh if kind == SAMPLES], careful)
            self._logs([p for _, kind, p in fresh if kind == LOGS], careful)
            self._metadata([p for _, kind, p in fresh if kind == METADATA])
            self._remember(spool, fresh[-1][0])
            self._sure.add(spool)
        return self.applied(spool)

    def _samples(self, batches: list[SamplesRecord], careful: bool) -> None:
        definitions = [b.definitions for b in batches if b.definitions]
        if definitions:
            self._db.insert("telemetry.series", "id, metric, labels, seen", "RowBinary", definitions)
            self.version += 1
        count = sum(b.count for b in batches)
        if not count:
            return
        block = columns.native_block(
            {
                "series": ("UInt64", b"".join(b.ids for b in batches)),
                "time": ("Int64", b"".join(b.times for b in batches)),
                "value": ("Float64", b"".join(b.values for b in batches)),
            },
            count,
        )
        if not careful:
            self._db.insert("telemetry.samples", _SAMPLES, "Native", [block])
            return
        self._db.run("TRUNCATE TABLE telemetry.held_samples")
        self._db.insert("telemetry.held_samples", _SAMPLES, "Native", [block])
        self._db.run(
            f"INSERT INTO telemetry.samples ({_SAMPLES}) SELECT {_SAMPLES} FROM telemetry.held_samples"
            " WHERE (series, time) NOT IN (SELECT series, time FROM telemetry.samples"
            " WHERE series IN (SELECT series FROM telemetry.held_samples)"
            " AND time >= (SELECT min(time) FROM telemetry.held_samples)"
            " AND time <= (SELECT max(time) FROM telemetry.held_samples))"
        )
        self._db.run("TRUNCATE TABLE telemetry.held_samples")

    def _logs(self, payloads: list[bytes], careful: bool) -> None:
        if not payloads:
            return
        if not careful:
            self._db.insert("telemetry.logs", _LOGS, "RowBinary", payloads)
            return
        self._db.run("TRUNCATE TABLE telemetry.held_logs")
        self._db.insert("telemetry.held_logs", _LOGS, "RowBinary", payloads)
        self._db.run(
            f"INSERT INTO telemetry.logs ({_LOGS}) SELECT {_LOGS} FROM telemetry.held_logs WHERE id NOT IN"
            " (SELECT id FROM telemetry.logs WHERE time >= (SELECT min(time) FROM telemetry.held_logs)"
            " AND time <= (SELECT max(time) FROM telemetry.held_logs))"
        )
        self._db.run("TRUNCATE TABLE telemetry.held_logs")

    def _metadata(self, payloads: list[bytes]) -> None:
        if payloads:
            self._db.insert("telemetry.metadata", "metric, type, help, unit, seen", "RowBinary", payloads)

    def _remember(self, spool: str, sequence: int) -> None:
        self._applied[spool] = sequence
        beside = self._note.with_suffix(".new")
        with beside.open("w") as file:
            json.dump(self._applied, file)
            if self._durable:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(self._note)


def decode_batch(header: dict[str, Any], body: bytes) -> list[tuple[int, int, bytes]]:
    """The records of one frame: the header lists [sequence, kind, length], the body holds the payloads one after the other."""
    records, at = [], 0
    for sequence, kind, length in header["records"]:
        records.append((sequence, kind, bytes(body[at : at + length])))
        at += length
    return records
