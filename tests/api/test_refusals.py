"""Requests that do not fit: the place, what is wrong and the way out, all of it at once, and never the input itself."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

EXPIRY = "2030-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{bad", ["body: not JSON at character 1: expecting property name enclosed in double quotes"]),
        (b"", ["body: is missing; it is required"]),
        (b"[]", ["body: no JSON object; send one such as {}, with Content-Type: application/json"]),
        (
            b'{"kind": "silence", "matchers": ["a=b"], "reason": 7, "expires": "tomorrow", "expirs": 1}',
            [
                "body.reason: not text; write it in quotes",
                "body.expires: not a time; write it as RFC 3339, such as 2026-11-23T14:02:00Z",
                "body.expirs: there is no such field; did you mean expires? known here: expires, kind, matchers, owner, reason, starts",
            ],
        ),
    ],
)
def test_a_body_that_does_not_fit(admin: TestClient, body: bytes, said: list[str]) -> None:
    answer = admin.post("/api/v1/waivers", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert [f"{one['place']}: {one['message']}" for one in answer.json()["errors"]] == said


def test_a_body_of_another_type_says_which_it_takes(admin: TestClient) -> None:
    answer = admin.post("/api/v1/waivers", content=b"hello", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["detail"]) == (
        422, "body: no JSON object; send one such as {}, with Content-Type: application/json",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=many", "query.limit: not a whole number; write digits alone"),
        ("limit=100000", "query.limit: too large; write at most 200"),
        ("limt=5", "query.limt: there is no such field; did you mean limit? known here: "),
    ],
)
def test_a_query_that_does_not_fit(admin: TestClient, query: str, said: str) -> None:
    answer = admin.get(f"/api/v1/events?{query}")
    assert answer.status_code == 422 and answer.json()["detail"].startswith(said), answer.text


def test_the_input_is_not_repeated(admin: TestClient) -> None:
    answer = admin.post("/api/v1/secrets", json={"name": 5, "value": ["hunter2"]})
    assert "hunter2" not in answer.text
