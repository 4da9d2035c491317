"""A plane with every area in which two teams have one of everything: in production of both, and in staging of the first."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from area_plane import AreaPlane
from opsroom.app.plane import migrations_of
from opsroom.kernel.actors import Limit
from opsroom.kernel.clock import stamp
from opsroom.workflows.starting import Repository

OWN, STAGED, OTHER = "ownmark", "stagedmark", "othermark"
"""Words that stand in every text of what belongs to shop-team in production, to shop-team in staging, and to stock-team in production."""
PLACES = {OWN: ("storefront", "production"), STAGED: ("storefront", "staging"), OTHER: ("inventory", "production")}
OF_RUNS = {OWN: "storefront", OTHER: "inventory"}
FILES = {
    "opsroom/hosts.yaml": """\
apiVersion: opsroom.dev/v1
kind: Host
metadata: {name: ownmark-host, labels: {team: shop-team, environment: production}}
spec: {address: local, folder: /tmp/ownmark}
---
apiVersion: opsroom.dev/v1
kind: Host
metadata: {name: stagedmark-host, labels: {team: shop-team, environment: staging}}
spec: {address: local, folder: /tmp/stagedmark}
---
apiVersion: opsroom.dev/v1
kind: Host
metadata: {name: othermark-host, labels: {team: stock-team, environment: production}}
spec: {address: local, folder: /tmp/othermark}
""",
}
WORKFLOW = (
    "name: {mark}\non: workflow_dispatch\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps: [{{run: 'true'}}]\n"
)
SHAPES: dict[str, dict[str, Any]] = {
    "deployments": {"state": "finished", "kind": "deploy", "strategy": "rolling", "spec": "{}", "run": "", "incident": ""},
    "instances": {"state": "serving"},
    "alerts": {"state": "firing", "severity": "critical", "labels": "{}", "annotations": "{}", "value": "1.0", "resolved_at": None, "expr": "up == 0", "silence": "", "fired_event": "", "resolved_event": ""},
    "scrape_targets": {"state": "up", "event": ""},
    "incidents": {"state": "open", "severity": "SEV2", "owner": "group:TEAM", "runbook": '{"path": "", "title": "", "workflow": "", "unknown": "none"}', "suspects": "[]", "timers": "[]", "acknowledged": None, "resolved": None, "automatic": 0, "alert": "", "previous": "", "opened_event": "", "resolved_event": "", "acknowledged_by": "", "resolved_by": ""},
    "incident_pages": {"state": "sent", "people": "[]", "next_try": None, "delivered": None, "sent_event": ""},
    "action_items": {"state": "open", "closed": None, "opened_event": "", "closed_by": ""},
    "load_tests": {"verdict": "pass", "buckets": "{}", "reasons": "{}", "broken": "[]", "run": "", "event": ""},
    "scans": {"scanner": "secrets", "verdict": "findings", "unchecked": "[]", "older": 0, "run": "", "event": ""},
    "findings": {"scanner": "secrets", "severity": "high", "places": '["MARK.py:1"]', "covers": "[]", "state": "open", "closed": None, "opened_event": "", "closed_event": ""},
    "gate_decisions": {"verdict": "pass", "inputs": "[]", "evidence": "{}", "run": "", "event": ""},
    "run_costs": {"currency": "EUR", "event": ""},
    "plans": {"target": "MARK-host", "state": "applied", "plan": "PLAN", "event": "", "request": ""},
    "artifacts": {"sbom": "", "event": "", "run": "", "provenance": ""},
    "notifications": {"state": "sent", "sent_event": ""},
    "doc_pages": {"path": "incidents/MARK", "kind": "incident", "events": "[]", "place": ""},
    "doc_links": {"page": "incidents/MARK", "event": ""},
}  # fmt: skip
"""Tables of which each place gets a row, and the columns whose value is not simply made up."""
TIMES = re.compile(
    r"created|switched|finished|started|opened|seen|closed|onset|sent|made|fired_at|active_at|since|scraped|changed|found|as_of"
)


@dataclass
class TwoTeams:
    """The plane, and the ids of what each place has, by noun."""

    house: AreaPlane
    ids: dict[str, dict[str, str]] = field(default_factory=dict)

    def someone(self, name: str, role: str, *, team: str = "", environment: str = "") -> str:
        """A person with this one role; their token."""
        actors = self.house.plane.actors
        creator = actors.people.actor("person:admin")
        person = actors.people.add(name, creator.id)
        actors.people.grant(person.id, role, creator.id, team=team, environment=environment)
        return actors.tokens.create(person.id, "test", creator, limit=Limit())[1]


def two_teams(house: AreaPlane) -> TwoTeams:
    """Fills a plane over its usual catalog: storefront is shop-team's, inventory is stock-team's."""
    house.decide(FILES)
    made = TwoTeams(house)
    columns = _columns()
    for mark, (service, environment) in PLACES.items():
        told = house.record(
            "deployment.finished", f"service:{service}", f"environment:{environment}", f"deployment:{mark}-deployments",
            version=mark, strategy="rolling", kind="deploy",
        )  # fmt: skip
        made.ids[mark] = {"events": told.id}
        for table, given in SHAPES.items():
            _row(house, columns[table], table, mark, given, event=told.id)
            made.ids[mark][table] = f"{mark}-{table}"
        made.ids[mark] |= {
            "loadtests": f"{mark}-load_tests",
            "pages": f"{mark}-incident_pages",
            "gates": f"{mark}-gate_decisions",
        }
        made.ids[mark] |= {
            "action-items": f"{mark}-action_items",
            "postmortems": f"{mark}-incidents",
            "artifacts": f"sha256:{mark}",
        }
        made.ids[mark]["waivers"] = _waiver(house, mark, service, environment)
        house.running.extend(_running(house, mark, service, environment, told.id))
    for mark, service in OF_RUNS.items():
        source = Repository(name=f"{mark}-repository", service=service)
        made.ids[mark]["runs"] = house.plane.engine.dispatch(
            ".opsroom/workflows/w.yml", WORKFLOW.format(mark=mark), {}, repository=source, ref="refs/heads/main",
            commit="c" * 40, actor="person:admin",
        )  # fmt: skip
    house.plane.ledger.seal()
    return made


def _columns() -> dict[str, dict[str, str]]:
    """Columns of every table with their SQL types, read from the migrations."""
    found: dict[str, dict[str, str]] = {}
    for migration in migrations_of(_areas()):
        for statement in migration.statements:
            if made := re.match(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+) \((.*)\)\s*$", statement, re.DOTALL):
                parts = [part.split() for part in made[2].split(",")]
                found[made[1]] = {one[0]: one[1] for one in parts if len(one) > 1 and one[0].islower()}
            elif added := re.match(r"ALTER TABLE (\w+) ADD COLUMN (\w+) (\w+)", statement):
                found[added[1]][added[2]] = added[3]
    return found


def _areas() -> Any:
    from opsroom.app.areas import load_areas

    return load_areas()


def _row(
    house: AreaPlane, columns: dict[str, str], table: str, mark: str, given: dict[str, Any], *, event: str
) -> None:
    service, environment = PLACES[mark]
    team = {"storefront": "shop-team", "inventory": "stock-team"}[service]
    values: dict[str, Any] = {}
    for name, type in columns.items():
        made: Any = f"{mark}-{table}" if name in ("id", "key") else f"{mark} {name}" if type == "TEXT" else 1
        if type == "TEXT" and TIMES.fullmatch(name):
            made = stamp(house.plane.clock.now())
        made = {"service": service, "environment": environment, "event": event, "incident": f"{mark}-incidents", "digest": f"sha256:{mark}"}.get(name, made)  # fmt: skip
        made = given.get(name, made)
        if isinstance(made, str):
            made = made.replace("MARK", mark).replace("TEAM", team).replace("PLAN", _plan(mark))
        values[name] = made
    names = ", ".join(values)
    with house.plane.store.begin() as tx:
        tx.execute(
            sa.text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in values)})"), values
        )


def _plan(mark: str) -> str:
    from opsroom.kernel.plan import compare

    return json.dumps(
        compare(target=f"{mark}-host", commit="c", kind="file", desired={mark: {"a": "1"}}, actual={}).to_json()
    )


def _waiver(house: AreaPlane, mark: str, service: str, environment: str) -> str:
    from datetime import timedelta

    until = house.plane.clock.now() + timedelta(hours=2)
    matchers = [f"service={service}", f"environment={environment}"]
    return house.plane.waivers.grant("silence", matchers, owner="person:admin", reason=mark, expires=until, actor="person:admin").id  # fmt: skip


def _running(house: AreaPlane, mark: str, service: str, environment: str, event: str) -> list[Any]:
    from opsroom.contracts.facts import Running

    return [
        Running(
            service=service, environment=environment, version=mark, digest=f"sha256:{mark}", commit="c" * 40,
            deployment=f"{mark}-deployments", url="http://127.0.0.1:1", since=house.plane.clock.now(), event=event,
        )
    ]  # fmt: skip
