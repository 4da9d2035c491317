"""The client of the inventory service, with connections kept alive."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from queue import Empty, LifoQueue
from typing import Any
from urllib.parse import quote, urlsplit

from storefront.web import HttpError, Trace

TIMEOUT_SECONDS = 5.0
KEPT_CONNECTIONS = 32


class Inventory:
    """Asks inventory at `url`; may be used from many threads. Whatever goes wrong there is an HttpError 502 or 503 here."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._idle: LifoQueue[http.client.HTTPConnection] = LifoQueue(KEPT_CONNECTIONS)

    def stock_of(self, ids: Sequence[str], trace: Trace) -> Mapping[str, int]:
        """The pieces in stock of each of these products; one request for all."""
        status, answer = self._send("GET", f"/stock?ids={quote(','.join(ids), safe=',')}", trace)
        if status != 200:
            raise HttpError(502, f"inventory answered {status}")
        return dict(answer["stock"])

    def reserve(self, product_id: str, quantity: int, trace: Trace) -> str:
        """Takes pieces out of stock; returns the reservation's id. Error: 409 when there are not enough."""
        body = json.dumps({"id": product_id, "quantity": quantity}).encode()
        status, answer = self._send("POST", "/reservations", trace, body)
        if status not in {201, 409}:
            raise HttpError(502, f"inventory answered {status}")
        if status == 409:
            raise HttpError(409, answer["error"])
        return str(answer["reservation"])

    def close(self) -> None:
        """Closes the connections that are kept."""
        while (connection := self._kept()) is not None:
            connection.close()

    def _send(self, method: str, target: str, trace: Trace, body: bytes = b"") -> tuple[int, dict[str, Any]]:
        # A kept connection may have been closed at the other end: only a request that changes nothing is sent again.
        connection = self._kept() if method == "GET" else None
        if connection is not None:
            try:
                return self._exchange(connection, method, target, trace, body)
            except (ConnectionError, http.client.HTTPException):
                connection.close()
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)
        try:
            return self._exchange(connection, method, target, trace, body)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise HttpError(503, f"inventory does not answer: {type(error).__name__}") from error

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, target: str, trace: Trace, body: bytes
    ) -> tuple[int, dict[str, Any]]:
        headers = {"traceparent": str(trace), "Content-Type": "application/json"}
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read() or b"{}")
        if response.will_close or self._idle.full():
            connection.close()
        else:
            self._idle.put(connection)
        return response.status, answer

    def _kept(self) -> http.client.HTTPConnection | None:
        try:
            return self._idle.get_nowait()
        except Empty:
            return None
