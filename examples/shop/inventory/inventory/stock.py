"""Stock levels in SQLite: the sum of every movement of a product, read in shared passes."""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

GATHER_SECONDS = 0.008
"""How long a look-up waits for others, so that one pass over the movements answers all of them."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS movements (
    id TEXT PRIMARY KEY, product TEXT NOT NULL, quantity INTEGER NOT NULL, reason TEXT NOT NULL
) WITHOUT ROWID
"""
_LEVELS = "SELECT product, sum(quantity) FROM movements GROUP BY product"


class NotEnough(Exception):
    """There are fewer pieces than were asked for."""


class Stock:
    """The movements in the file `path`, made and filled with the opening stock when it is new. Threads may share it.

    Two processes may have the same file open, as they do while one replaces the other.
    """

    def __init__(self, path: Path, *, gather_seconds: float = GATHER_SECONDS) -> None:
        self._gather_seconds = gather_seconds
        self._writing = threading.Lock()
        self._writer = _connect(path)
        self._reader = _connect(path)
        self._open_stock()
        self._gate = threading.Condition()
        self._waiting: list[Future[Mapping[str, int]]] = []
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._read_passes, name="stock", daemon=True)
        self._thread.start()

    def levels(self, ids: Sequence[str]) -> dict[str, int]:
        """Pieces in stock of each product; 0 for one that was never stocked."""
        answer: Future[Mapping[str, int]] = Future()
        with self._gate:
            self._waiting.append(answer)
            self._gate.notify()
        levels = answer.result()
        return {product_id: levels.get(product_id, 0) for product_id in ids}

    def reserve(self, product_id: str, quantity: int) -> str:
        """Takes pieces out; returns the reservation's id. NotEnough leaves everything as it was."""
        reservation = f"res_{uuid.uuid4().hex}"
        with self._writing, self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            query = "SELECT coalesce(sum(quantity), 0) FROM movements WHERE product = ?"
            (level,) = self._writer.execute(query, (product_id,)).fetchone()
            if level < quantity:
                raise NotEnough(f"{quantity} of {product_id!r} wanted, {level} in stock")
            row = (reservation, product_id, -quantity, "reserved")
            self._writer.execute("INSERT INTO movements VALUES (?, ?, ?, ?)", row)
        return reservation

    def close(self) -> None:
        """Answers who waits, then closes the file."""
        with self._gate:
            self._closed.set()
            self._gate.notify()
        self._thread.join()
        self._reader.close()
        self._writer.close()

    def _read_passes(self) -> None:
        while True:
            with self._gate:
                self._gate.wait_for(lambda: self._waiting or self._closed.is_set())
            if self._closed.wait(self._gather_seconds) and not self._waiting:
                return
            with self._gate:
                asking, self._waiting = self._waiting, []
            try:
                levels = dict(self._reader.execute(_LEVELS).fetchall())
            except sqlite3.Error as error:
                for answer in asking:
                    answer.set_exception(error)
            else:
                for answer in asking:
                    answer.set_result(levels)

    def _open_stock(self) -> None:
        opening = json.loads(Path(__file__).with_name("opening_stock.json").read_text("utf-8"))
        with self._writing, self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.execute(_SCHEMA)
            rows = [(f"opening_{product_id}", product_id, pieces, "opening") for product_id, pieces in opening.items()]
            self._writer.executemany("INSERT OR IGNORE INTO movements VALUES (?, ?, ?, ?)", rows)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection
