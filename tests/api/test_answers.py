"""What the derived API answers: values, problems, pages, conditions, replays; and never a secret."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.contracts.operations import Model, Operation, Page, Started, operation
from opsroom.contracts.plane import Call, Plane
from opsroom.contracts.scopes import WHOLE
from opsroom.kernel.clock import FakeClock
from opsroom.kernel.errors import Conflict, Place, Problem, Problems
from opsroom.kernel.settings import Settings
from opsroom.kernel.store import Store
from opsroom.surfaces.api.app import build_api
from opsroom.surfaces.derived import PREFIX, BadOperation, derive, derive_all

SECRET = "hunter2/hunter2\"'<&"


class Note(Model):
    """A note with a version."""

    id: str
    text: str
    version: int
    at: datetime = datetime(2026, 1, 5, tzinfo=UTC)


class Notes:
    """Operations over notes in memory, one of each shape."""

    def __init__(self) -> None:
        self.kept: dict[str, Note] = {}
        self.calls = 0

    def operations(self) -> tuple[Operation, ...]:
        @operation("notes.list", scope=WHOLE)
        def list_(call: Call, *, prefix: str = "", after: str = "", limit: int = 2) -> Page[Note]:
            """Notes by id."""
            found = [note for id, note in sorted(self.kept.items()) if id > after and note.text.startswith(prefix)]
            return Page(items=found[:limit], next=found[limit - 1].id if len(found) > limit else "")

        @operation("notes.show", scope=WHOLE)
        def show(call: Call, id: str) -> Note:
            """One note."""
            return self.kept[id]

        @operation("notes.create", needs="operate", scope=WHOLE)
        def create(call: Call, *, id: str, text: str, at: datetime | None = None) -> Note:
            """A new note. Error: there is one."""
            self.calls += 1
            if id in self.kept:
                raise Conflict(f"note {id!r} exists; take another id")
            self.kept[id] = Note(id=id, text=text, version=1, at=at or call.plane.clock.now())
            return self.kept[id]

        @operation("notes.edit", needs="operate", scope=WHOLE)
        def edit(call: Call, id: str, *, text: str) -> Note:
            """Another text."""
            old = self.kept[id]
            self.kept[id] = old.model_copy(update={"text": text, "version": old.version + 1})
            return self.kept[id]

        @operation("notes.print", needs="operate", scope=WHOLE)
        def print_(call: Call, id: str) -> Started:
            """Prints it, for long."""
            return Started(noun="runs", id="run_1")

        @operation("notes.check", needs="operate", scope=WHOLE)
        def check(call: Call, *, texts: list[str] | None = None, password: SecretStr | None = None) -> None:
            """Finds two problems."""
            places = [Place("a.md", 3, 1), Place("a.md", 1, 2)]
            raise Problems([Problem(place, f"bad near {SECRET}", "mend it") for place in places])

        @operation("notes.burn", needs="admin", scope=WHOLE)
        def burn(call: Call) -> None:
            """A bug."""
            raise RuntimeError(f"on fire with {SECRET}")

        return tuple(made.operation for made in (list_, show, create, edit, print_, check, burn))


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def client(plane: Plane, notes: Notes, settings: Settings) -> Iterator[TestClient]:
    plane.secrets.redactor.add(SECRET)
    app = build_api(plane, (*KERNEL_OPERATIONS, *notes.operations()))
    token = (settings.keys / "admin-token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    yield TestClient(app, base_url="http://127.0.0.1", headers=headers, raise_server_exceptions=False)


def problem(answer: object, status: int, detail: str = "") -> dict[str, object]:
    """Checks the shape that every error has (RFC 9457) and gives it back."""
    assert answer.status_code == status, answer.text  # type: ignore[attr-defined]
    assert answer.headers["content-type"] == "application/problem+json"  # type: ignore[attr-defined]
    body: dict[str, object] = answer.json()  # type: ignore[attr-defined]
    assert {"type", "title", "status", "detail", "instance"} <= body.keys()
    assert body["status"] == status and str(body["type"]).startswith("urn:opsroom:problem:")
    assert detail in str(body["detail"]) and "\n" not in str(body["detail"])
    return body


def test_creating_answers_201_and_where(client: TestClient) -> None:
    made = client.post(f"{PREFIX}/notes", json={"id": "a/b", "text": "hello", "at": "2026-11-23T14:02:00+02:00"})
    assert (made.status_code, made.headers["location"]) == (201, f"{PREFIX}/notes/a%2Fb")
    assert made.json()["at"] == "2026-11-23T12:02:00Z"


def test_lists_go_on_from_a_cursor(client: TestClient) -> None:
    for id in "abcde":
        client.post(f"{PREFIX}/notes", json={"id": id, "text": id})
    path, seen = f"{PREFIX}/notes?limit=2&prefix=", []
    while path:
        page = client.get(path)
        seen += [note["id"] for note in page.json()["items"]]
        path = page.links["next"]["url"] if page.json()["next"] else ""
    assert seen == list("abcde")
    for limit in ("0", "201", "x"):
        problem(client.get(f"{PREFIX}/notes?limit={limit}"), 422, "query.limit")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"id": "a"}, "body.text"),
        ({"id": "a", "text": 3}, "body.text"),
        ({"id": "a", "text": "x", "colour": "red"}, "body.colour"),
        ({"id": "a", "text": "x", "at": "2026-11-23T14:02:00"}, "body.at"),
        ({"id": "a", "text": "x", "at": 0}, "body.at"),
        ({"id": "a", "text": "x", "at": "1767603600"}, "body.at"),
        ({"id": "a", "text": "x", "at": "2026-11-23"}, "body.at"),
        ({"id": "a", "text": "x", "at": "0001-01-01T00:00:00+14:00"}, "at"),
        ({"id": "a", "text": "nul \0"}, "text"),
        ({"id": "a", "text": "half \ud800"}, "text"),
        ([], "body"),
        (None, "body"),
    ],
)
def test_what_does_not_fit_is_named(client: TestClient, body: object, place: str, notes: Notes) -> None:
    answer = client.post(f"{PREFIX}/notes", content=json.dumps(body), headers={"Content-Type": "application/json"})
    problem(answer, 422, place)
    assert not notes.calls


def test_an_unknown_filter_is_refused_not_ignored(client: TestClient) -> None:
    problem(client.get(f"{PREFIX}/notes?prefx=a"), 422, "query.prefx")


@pytest.mark.parametrize(
    ("path", "place"),
    [("waivers?ended=1", "query.ended"), ("waivers?ended=yes", "query.ended"), ("events?since=0", "query.since")],
)
def test_only_the_spelling_of_the_description_is_taken(client: TestClient, path: str, place: str) -> None:
    problem(client.get(f"{PREFIX}/{path}"), 422, place)
    assert client.get(f"{PREFIX}/waivers?ended=true").status_code == 200


def test_numbers_in_a_body_are_numbers(client: TestClient) -> None:
    problem(client.post(f"{PREFIX}/tokens", json={"name": "ci", "days": "90"}), 422, "body.days")


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 9000, b'{"id": 1e999}'])
def test_a_body_that_is_no_json_is_a_problem(client: TestClient, body: bytes) -> None:
    answer = client.post(f"{PREFIX}/notes", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    problem(answer, answer.status_code)


def test_the_users_own_errors_keep_their_line(client: TestClient) -> None:
    client.post(f"{PREFIX}/notes", json={"id": "a", "text": "x"})
    body = problem(
        client.post(f"{PREFIX}/notes", json={"id": "a", "text": "x"}), 409, "note 'a' exists; take another id"
    )
    assert body["title"] == "Conflict" and body["instance"] == f"{PREFIX}/notes"


def test_several_problems_are_all_listed_in_order(client: TestClient) -> None:
    body = problem(client.post(f"{PREFIX}/notes/check"), 422, "2 problems; the first: a.md:1:2")
    assert [one["place"] for one in body["errors"]] == ["a.md:1:2", "a.md:3:1"]  # type: ignore[attr-defined]
    assert SECRET not in json.dumps(body)


def test_paths_and_methods_that_are_not_there(client: TestClient) -> None:
    problem(client.get("/nowhere"), 404, "there is nothing at /nowhere")
    problem(client.get(f"{PREFIX}/notes/"), 404)
    answer = client.delete(f"{PREFIX}/notes")
    problem(answer, 405, "it takes GET, POST")
    assert answer.headers["allow"] == "GET, POST"


def test_a_bug_answers_an_id_and_the_journal_has_the_rest(client: TestClient, journal_text: io.StringIO) -> None:
    body = problem(client.post(f"{PREFIX}/notes/burn"), 500, "a bug in Opsroom")
    assert "fire" not in json.dumps(body)
    line = json.loads(journal_text.getvalue().splitlines()[-1])
    assert line["id"] == body["id"] and "RuntimeError: on fire with ***" in line["traceback"]
    assert SECRET not in journal_text.getvalue()


def test_a_body_over_the_limit_is_refused_before_it_is_read(client: TestClient, notes: Notes) -> None:
    large = json.dumps({"id": "a", "text": "x" * 20_000}).encode()
    problem(client.post(f"{PREFIX}/notes", content=large), 413, "over the limit of 10000")

    def chunks() -> Iterator[bytes]:
        yield from (large[at : at + 1000] for at in range(0, len(large), 1000))

    headers = {"Content-Type": "application/json"}
    problem(client.post(f"{PREFIX}/notes", content=chunks(), headers=headers), 413, "over the limit of 10000")
    assert not notes.calls


def test_a_long_operation_says_where_to_follow(client: TestClient) -> None:
    answer = client.post(f"{PREFIX}/notes/a/print")
    assert (answer.status_code, answer.headers["location"]) == (202, f"{PREFIX}/runs/run_1")


def test_edits_obey_if_match_and_reads_if_none_match(client: TestClient) -> None:
    client.post(f"{PREFIX}/notes", json={"id": "a", "text": "x"})
    path = f"{PREFIX}/notes/a"
    etag = client.get(path).headers["etag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    edited = client.post(f"{path}/edit", json={"text": "y"}, headers={"If-Match": etag})
    assert edited.status_code == 200 and edited.headers["etag"] != etag
    body = problem(client.post(f"{path}/edit", json={"text": "z"}, headers={"If-Match": etag}), 412, "is at version")
    assert body["title"] == "Precondition failed"
    assert client.get(path).json()["text"] == "y"
    assert client.post(f"{path}/edit", json={"text": "z"}, headers={"If-Match": "*"}).status_code == 200


def test_a_write_under_one_key_is_done_once(client: TestClient, notes: Notes, clock: FakeClock, plane: Plane) -> None:
    headers, body = {"Idempotency-Key": "k1"}, {"id": "a", "text": "x"}
    first = client.post(f"{PREFIX}/notes", json=body, headers=headers)
    again = client.post(f"{PREFIX}/notes", json=body, headers=headers)
    assert (first.content, first.status_code, notes.calls) == (again.content, again.status_code, 1)
    assert again.headers["idempotency-replayed"] == "true" and again.headers["location"] == first.headers["location"]
    other = client.post(f"{PREFIX}/notes", json={**body, "text": "y"}, headers=headers)
    problem(other, 422, "'k1' was used for another request")
    clock.advance(timedelta(hours=25))
    problem(client.post(f"{PREFIX}/notes", json=body, headers=headers), 409, "note 'a' exists")
    problem(client.post(f"{PREFIX}/notes", json=body, headers={"Idempotency-Key": ""}), 422)


def test_a_refused_write_leaves_its_key_free_and_a_cut_off_one_does_not(client: TestClient, notes: Notes) -> None:
    body = {"id": "a", "text": "x"}
    client.post(f"{PREFIX}/notes", json=body)
    problem(client.post(f"{PREFIX}/notes", json=body, headers={"Idempotency-Key": "k"}), 409, "exists")
    notes.kept.clear()
    assert client.post(f"{PREFIX}/notes", json=body, headers={"Idempotency-Key": "k"}).status_code == 201
    problem(client.post(f"{PREFIX}/notes/burn", headers={"Idempotency-Key": "b"}), 500)
    problem(client.post(f"{PREFIX}/notes/burn", headers={"Idempotency-Key": "b"}), 409, "under way, or was cut off")


def test_a_token_is_replayed_but_kept_nowhere_in_clear(client: TestClient, plane: Plane) -> None:
    headers = {"Idempotency-Key": "k"}
    token = client.post(f"{PREFIX}/tokens", json={"name": "ci"}, headers=headers).json()["token"]
    assert client.post(f"{PREFIX}/tokens", json={"name": "ci"}, headers=headers).json()["token"] == token
    assert token not in dump(plane.store)


def test_secrets_are_set_and_never_shown(client: TestClient, plane: Plane, journal_text: io.StringIO) -> None:
    value = "correct horse battery staple"
    seen = [client.post(f"{PREFIX}/secrets/API_KEY/set", json={"value": value}, headers={"Idempotency-Key": "k"})]
    assert seen[0].status_code == 200
    seen.append(client.get(f"{PREFIX}/secrets"))
    seen.append(client.post(f"{PREFIX}/notes", json={"id": "n", "text": f"the key is {value}!"}))
    seen.append(client.get(f"{PREFIX}/notes/n"))
    seen.append(client.post(f"{PREFIX}/people/add", json={"name": value, "title": value}))
    seen.append(client.get(f"{PREFIX}/events?actor={value}"))
    seen.append(client.get(f"{PREFIX}/{value}"))
    seen.append(client.post(f"{PREFIX}/secrets/bad-name/set", json={"value": value}))
    seen.append(client.post(f"{PREFIX}/secrets/OTHER/set", json={"value": value, value: 1}))
    seen.append(client.post(f"{PREFIX}/waivers", json={"kind": value}))
    assert seen[3].json()["text"] == "the key is ***!"
    for answer in seen:
        assert value not in answer.text and value.replace(" ", "%20") not in answer.text
    assert plane.secrets.resolve("secret:API_KEY", "person:admin") == value
    assert value not in journal_text.getvalue() and value not in dump(plane.store)


def test_a_secret_that_is_a_number_does_not_break_json(client: TestClient, plane: Plane) -> None:
    plane.secrets.redactor.add("2026")
    client.post(f"{PREFIX}/notes", json={"id": "a", "text": "in 2026"})
    assert client.get(f"{PREFIX}/notes/a").json()["text"] == "in ***"
    assert client.post(f"{PREFIX}/notes/burn").status_code == 500


def test_openapi_describes_every_operation(client: TestClient) -> None:
    schema = client.get(f"{PREFIX}/openapi.json").json()
    assert schema["openapi"].startswith("3.1")
    names = {one["operationId"] for path in schema["paths"].values() for one in path.values()}
    assert {one.name for one in KERNEL_OPERATIONS} <= names
    for path in schema["paths"].values():
        for one in path.values():
            assert one["responses"]["default"]["content"].keys() == {"application/problem+json"}
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404


def test_events_are_told_as_sentences_with_their_causes(client: TestClient) -> None:
    made = client.post(
        f"{PREFIX}/waivers",
        json={"kind": "silence", "matchers": ["service=a"], "reason": "a test", "expires": "2026-01-06T00:00:00Z"},
    ).json()
    client.post(f"{PREFIX}/waivers/{made['id']}/end")
    ended = client.get(f"{PREFIX}/events?types=waiver.&limit=1").json()["items"][0]
    assert ended["sentence"] == 'silence for service="a" ended: ended by hand'
    chain = client.get(f"{PREFIX}/events/{ended['id']}/chain").json()
    assert [event["type"] for event in chain] == ["waiver.ended", "waiver.granted"]
    effects = client.get(f"{PREFIX}/events/{made['event']}/effects").json()
    assert [event["id"] for event in effects] == [ended["id"]]
    assert client.get(f"{PREFIX}/events/{ended['id']}").json() == ended


def test_the_ledger_verifies_over_the_api(client: TestClient, plane: Plane) -> None:
    plane.ledger.seal()
    assert client.post(f"{PREFIX}/ledger/checkpoint").json()["seq"] == plane.ledger.last_seq()
    assert client.post(f"{PREFIX}/ledger/checkpoint").json()["seq"] is None
    found = client.get(f"{PREFIX}/ledger/verify").json()
    assert found["ok"] and found["checkpoints"] == 1 and found["events"] == plane.ledger.last_seq()
    with plane.store.begin() as tx:
        tx.execute("UPDATE events SET data = '{}' WHERE type = 'token.created'")
    assert not client.get(f"{PREFIX}/ledger/verify").json()["ok"]


def test_access_is_explained(client: TestClient) -> None:
    client.post(f"{PREFIX}/people/add", json={"name": "maria"})
    client.post(f"{PREFIX}/grants", json={"holder": "person:maria", "role": "operator", "team": "shop"})
    asked = f"{PREFIX}/access/explain?actor=person:maria&needs=operate&team="
    assert client.get(f"{asked}shop").json()["allowed"]
    refused = client.get(f"{asked}ops").json()
    assert (
        not refused["allowed"] and len(refused["considered"]) == 1 and "person:admin can grant it" in refused["reason"]
    )


def test_an_operation_that_cannot_be_derived_is_found_at_start() -> None:
    @operation("bad.two", scope=WHOLE)
    def two(call: Call, id: str, other: str) -> Note:
        """Two positional parameters."""
        raise NotImplementedError

    @operation("bad.untyped", scope=WHOLE)
    def untyped(call: Call, *, what) -> Note:  # type: ignore[no-untyped-def]
        """No type."""
        raise NotImplementedError

    @operation("bad.silent", scope=WHOLE)
    def silent(call: Call):  # type: ignore[no-untyped-def]
        """No result."""
        raise NotImplementedError

    for function in (two, untyped, silent):
        with pytest.raises(BadOperation, match=r"bad\."):
            derive(function.operation)  # type: ignore[attr-defined]
    with pytest.raises(BadOperation, match="both GET"):
        derive_all((KERNEL_OPERATIONS[0], KERNEL_OPERATIONS[0]))


def dump(store: Store) -> str:
    """Every row of every table, as text."""
    with store.read() as tx:
        names = tx.execute("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
        return "\n".join(str(dict(row)) for name in names for row in tx.rows(f'SELECT * FROM "{name}"'))
