"""Operations as pages: the list, the form, the run, the refusal."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Literal

import pytest
from pydantic import SecretStr

from opsroom.contracts.operations import Model, operation
from opsroom.contracts.scopes import WHOLE
from opsroom.kernel.errors import Invalid
from opsroom.surfaces.derived import derive
from opsroom.surfaces.web.fields import arguments_of, fields_of, fields_of_inputs
from opsroom.workflows.model import Input


class Level(Enum):
    LOW = "low"
    HIGH = "high"


class Answer(Model):
    ok: bool


@operation("things.make", needs="operate", scope=WHOLE)
def make(
    call, id: str, *, level: Level, mode: Literal["a", "b"] = "a", count: int = 1, share: float | None = None,
    at: datetime | None = None, names: list[str] | None = None, secret: SecretStr | None = None, hard: bool = False,
) -> Answer:  # fmt: skip
    """Make a thing."""
    return Answer(ok=True)


DERIVED = derive(make.operation)


def test_fields_of_a_signature():
    assert [(field.name, field.kind, field.required) for field in fields_of(DERIVED)] == [
        ("id", "text", True), ("level", "choice", True), ("mode", "choice", False), ("count", "number", False),
        ("share", "number", False), ("at", "time", False), ("names", "lines", False), ("secret", "secret", False),
        ("hard", "boolean", False),
    ]  # fmt: skip


def test_arguments_are_typed():
    form = {
        "id": ["x"], "level": ["high"], "count": ["3"], "share": ["0.5"], "at": ["2026-01-05T09:00:00Z"],
        "names": ["a\n\n b "], "secret": ["s3cret"], "hard": ["true"], "mode": [""],
    }  # fmt: skip
    found = arguments_of(DERIVED, form)
    assert (
        found["level"] is Level.HIGH and found["count"] == 3 and found["names"] == ["a", "b"] and found["hard"] is True
    )
    assert found["at"].tzinfo is not None and found["secret"].get_secret_value() == "s3cret" and found["mode"] == "a"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "id is missing"),
        ({"id": ["x"]}, "level is missing"),
        ({"id": ["x"], "level": ["huge"]}, "level='huge'"),
        ({"id": ["x"], "level": ["low"], "count": ["many"]}, "count='many'"),
        ({"id": ["x"], "level": ["low"], "at": ["2026-01-05T09:00:00"]}, "has no offset"),
    ],
)
def test_arguments_that_do_not_fit_are_named(form, said):
    with pytest.raises(Invalid, match=said):
        arguments_of(DERIVED, form)


def test_fields_of_workflow_inputs():
    inputs = [
        Input(name="environment", type="environment", required=True),
        Input(name="dry-run", type="boolean", default=True, description="only look"),
        Input(name="size", type="choice", options=("s", "l"), default="s"),
    ]
    fields = fields_of_inputs(inputs, environments=["staging"])
    assert [(field.kind, field.value, field.options) for field in fields] == [
        ("choice", "", ("staging",)), ("boolean", "true", ()), ("choice", "s", ("s", "l")),
    ]  # fmt: skip
    assert fields[1].label == "Dry run" and fields[1].help == "only look"


def test_the_palette_knows_pages_and_verbs(client):
    told = client.get("/verbs").json()
    assert {"runs.cancel", "ledger.verify", "events.list"} <= {verb["name"] for verb in told["verbs"]}
    assert {"words": "Services", "path": "/services", "key": "s"} in told["pages"]
    assert told["actor"] == "person:admin"


def test_a_reading_verb_without_needs_answers_at_once(client):
    assert "&#34;running&#34;" in client.get("/verbs/runs.count").text


def test_a_verb_is_run_and_says_so_on_the_page_it_came_from(client, plane):
    sent = client.post("/verbs/runs.cancel", data={"id": "r1", "reason": "wrong branch", "_back": "/runs?since=6h"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/runs?since=6h")
    assert "runs.cancel: id r1, state cancelled" in client.get("/runs").text
    assert "runs.cancel: id r1" not in client.get("/runs").text
    event = plane.ledger.find(types=["run.finished"])[0]
    assert event.data == {"reason": "wrong branch"} and event.actor == "person:admin"


def test_a_refusal_of_the_operation_is_told_on_the_page(client):
    client.post("/verbs/runs.cancel", data={"id": "r9", "_back": "/runs"})
    assert "nothing is left to cancel" in client.get("/runs").text
    shown = client.post("/verbs/runs.cancel", data={"id": "r9", "reason": "kept"})
    assert shown.status_code == 409 and 'value="kept"' in shown.text


def test_who_may_not_sees_why(viewer):
    assert "needs operator" in viewer.get("/verbs/runs.cancel").text
    assert "disabled" in viewer.get("/runs/r1").text
    assert viewer.post("/verbs/runs.cancel", data={"id": "r1"}).status_code == 403


def test_a_write_needs_the_token_of_the_session(client, plane):
    client.headers["x-csrf-token"] = "0" * 64
    assert client.post("/verbs/runs.cancel", data={"id": "r1"}).status_code == 403
    assert not plane.ledger.find(types=["run.finished"])


def test_a_write_from_another_site_is_refused(client):
    answer = client.post("/verbs/runs.cancel", data={"id": "r1"}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    answer = client.post("/verbs/runs.cancel", data={"id": "r1"}, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403


def test_what_is_no_form_is_refused(client):
    answer = client.post("/verbs/runs.cancel", content=b"{}", headers={"content-type": "application/json"})
    assert answer.status_code == 422


def test_an_unknown_verb(client):
    assert client.get("/verbs/no.such").status_code == 404
    assert client.post("/verbs/no.such", data={}).status_code == 404


def test_a_secret_is_not_shown_again(client):
    sent = client.post("/verbs/secrets.set", data={"id": "bad name!", "value": "hunter2-hunter2"})
    assert sent.status_code == 422 and "hunter2" not in sent.text
