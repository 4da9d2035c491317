"""The story: what happens to the example team, step by step, each step proven by what Opsroom recorded.

A step does something real (a push, a kill), waits for what must follow, and checks it by reading Opsroom's API. Nothing is
asserted by the script: a step is done when the API shows it, absent when it does not come about.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from opsroom.kernel.counting import counted
from opsroom.kernel.errors import UserError
from opsroom.surfaces.cli.demo.client import Api, NotInTime, wait_for
from opsroom.surfaces.cli.demo.server import Server
from opsroom.surfaces.cli.demo.team import Team

AREAS = (
    "delivery", "observability", "automation", "collaboration", "infrastructure", "security",
    "configuration", "performance", "incidents", "cost", "documentation",
)  # fmt: skip
ALERT = "StorefrontSlow"
RUN_SECONDS = 90


class StepNotDone(UserError):
    """What a step had to show is not what Opsroom recorded."""


@dataclass(kw_only=True)
class Step:
    """One step of the story as it went. `detail` says what was seen, or what was missing."""

    name: str
    done: bool = False
    seconds: float = 0.0
    detail: str = ""


@dataclass(kw_only=True)
class Story:
    """Carries the steps out against a server. `killing`: the server may be killed and started again (it is ours)."""

    team: Team
    api: Api
    server: Server | None
    tell: Callable[[str], None]
    killing: bool = True
    steps: list[Step] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        """All steps in order. One that fails ends the story: what stands on it cannot be true, and is listed as not done."""
        plan = list(self._plan())
        self.steps = [Step(name=name) for name, _ in plan]
        for step, (_, act) in zip(self.steps, plan, strict=True):
            self.tell(f"… {step.name}")
            began = time.monotonic()
            try:
                step.detail = act()
                step.done = True
            except (UserError, NotInTime) as error:
                step.detail = str(error)
            step.seconds = round(time.monotonic() - began, 2)
            self.tell(f"{'✓' if step.done else '✗'} {step.name} ({step.seconds:.1f} s): {step.detail}")
            if not step.done:
                return

    def _plan(self) -> Iterator[tuple[str, Callable[[], str]]]:
        yield "the ops repo is in force", self.ops_repo
        yield "pushes run their pipelines", self.first_pipelines
        yield "promoted blue-green under steady traffic", self.promotion
        if self.killing:
            yield "killed and started again under traffic", self.killed
        yield "both services are observed", self.observed
        yield "a defect reaches production and the rule fires", self.defect
        yield "the alert becomes one incident and pages arrive", self.incident
        yield "the runbook rolls back and the incident resolves", self.rollback
        yield "backup restored, drift found, task run", self.operations
        yield "documents, DORA, cost and evidence are there", self.records
        yield "the ledger verifies, and tampering is found", self.ledger
        yield "every area gave events that lead back to a push", self.areas

    def ops_repo(self) -> str:
        self.team.push("ops", "The team's own decisions", "maria")
        catalog = wait_for("the ops repo in force", self._catalog_in_force, seconds=30)
        return f"{len(catalog['resources'])} resources at {catalog['commit'][:12]}"

    def first_pipelines(self) -> str:
        commits = [self.team.push(name, f"{name}, first version", "jonas") for name in ("inventory", "storefront")]
        runs = [self._finished_run(commit) for commit in commits]
        self.seen["pipelines"] = runs
        self.seen["first"] = commits
        digests = [self._artifact(commit)["digest"] for commit in commits]
        for digest in digests:
            self._check_artifact(digest)
        return f"{len(runs)} pipelines, {sum(run['seconds'] for run in runs):.1f} s together, artefacts with SBOM and provenance"

    def promotion(self) -> str:
        self._start_traffic()
        readme = (self.team.work("storefront") / "README.md").read_text()
        files = {"README.md": readme + "\nOrders are confirmed at once.\n"}
        self._use("storefront", "storefront/__init__.py", "\n# Orders are confirmed at once.\n", files)
        commit = self.team.push("storefront", "Say how orders are confirmed", "maria", files)
        self.seen["pipelines"].append(self._finished_run(commit))
        deployment = self._settled_deployment(commit)
        self._expect(deployment["strategy"] == "blue-green", f"strategy {deployment['strategy']}")
        self._expect(bool(deployment["requests"]), "no traffic was counted during the promotion")
        self._expect(deployment["failed"] == 0, f"{deployment['failed']} of {deployment['requests']} requests failed")
        self.seen["good"] = deployment
        return f"{deployment['version']}: 0 of {deployment['requests']} requests failed"

    def killed(self) -> str:
        assert self.server is not None
        before = {(one["service"], one["environment"]): one["deployment"] for one in self._live()}
        since = time.time()
        self.server.kill()
        time.sleep(1.0)
        self.server.start()
        self.server.wait()
        after = wait_for("the services taken up again", lambda: self._live() or None, seconds=30)
        now = {(one["service"], one["environment"]): one["deployment"] for one in after}
        self._expect(now == before, f"{before} ran before the kill, {now} after it")
        time.sleep(3.0)
        traffic = self._traffic(since, time.time() - 1)
        self._expect(bool(traffic["requests"]) and traffic["failed"] == 0, f"traffic over the kill: {traffic}")
        restarts = self.api.items("events", types="service.restarted", limit=5)
        self._expect(not restarts, f"{counted(len(restarts), 'service')} had to be started again")
        self.seen["kill"] = traffic
        return f"0 of {traffic['requests']} requests failed, {len(now)} services and Caddy taken up again"

    def observed(self) -> str:
        targets = self.api.items("targets")
        up = {target["service"] for target in targets if target["state"] == "up"}
        self._expect({"storefront", "inventory"} <= up, f"only {sorted(up)} are up")
        found = wait_for("logs with trace ids", self._logs, seconds=20)
        rules = self.api.items("rules")
        slos = wait_for(
            "an evaluated SLO", lambda: [one for one in self.api.items("slos") if one["left"] is not None], seconds=20
        )
        self._expect(len(rules) >= 3, f"{len(rules)} rules are evaluated")
        return f"{len(targets)} targets up, {len(found)} log lines read, {len(rules)} rules, {counted(len(slos), 'SLO')} evaluated"

    def defect(self) -> str:
        files = self.team.story_files("storefront-stock-per-product")
        message = files.pop("MESSAGE")
        commit = self.team.push("storefront", message, "aylin", files)
        time.sleep(1.0)
        later = self.team.story_files("inventory-start-log")
        later_message = later.pop("MESSAGE")
        other = self.team.push("inventory", later_message, "jonas", later)
        self.seen["defect"], self.seen["harmless"] = commit, other
        self.seen["pipelines"].append(self._finished_run(commit))
        deployment = self._settled_deployment(commit)
        self.seen["bad"] = deployment
        self._expect(deployment["failed"] == 0, f"{deployment['failed']} requests failed at the switch")
        self.seen["pipelines"].append(self._finished_run(other))
        alert = wait_for(f"the alert {ALERT}", self._alert, seconds=90)
        self.seen["alert"] = alert
        return f"{ALERT} {alert['seconds_from_deploy']:.1f} s after the deployment; inventory was deployed later"

    def incident(self) -> str:
        found = wait_for("an incident", self._incident, seconds=30)
        self._expect(len(self.api.items("incidents")) == 1, "more than one incident")
        show = wait_for("a page that arrived", lambda: self._incident_with_page(found["id"]), seconds=30)
        suspects = show["suspects"]
        bad = self.seen["bad"]["id"]
        self._expect(bool(suspects), "no suspects are named")
        first = self.api.get(f"events/{suspects[0]['event']}")
        self._expect(f"deployment:{bad}" in first["subjects"], f"the first suspect is {suspects[0]['change']}")
        others = [self.api.get(f"events/{one['event']}") for one in suspects[1:]]
        later = [one for one in others if f"commit:{self.seen['harmless']}" in one["subjects"]]
        self._expect(bool(later), "the deployment of the other service is not among the suspects")
        self._expect(
            bool(show["owner"]) and bool(show["runbook"]), f"owner {show['owner']!r}, runbook {show['runbook']!r}"
        )
        pages = self._pages(found["id"])
        self._expect({"webhook", "smtp"} <= {page["provider"] for page in pages}, f"pages went to {pages}")
        self._expect(any(not page["delivered"] for page in pages), "no provider failed")
        self.seen["incident"] = show
        delivered = [page["provider"] for page in pages if page["delivered"]]
        return f"{show['severity']} {show['title']!r}, owner {show['owner']}, arrived by {', '.join(delivered)}"

    def rollback(self) -> str:
        id = self.seen["incident"]["id"]
        self.api.post(f"incidents/{id}/acknowledge", {"note": "looking at the last deployment"})
        self.api.post(f"incidents/{id}/runbook")
        deployment = wait_for("the rollback", self._rolled_back, seconds=60)
        self._expect(deployment["digest"] == self.seen["good"]["digest"], f"it rolled back to {deployment['digest']}")
        self._expect(deployment["failed"] == 0, f"{deployment['failed']} requests failed")
        self.seen["rollback"] = deployment
        show = wait_for("the incident resolved", lambda: self._resolved(id), seconds=90)
        self.seen["incident"] = show
        postmortem = self.api.get(f"postmortems/{id}")
        self._expect("Timeline" in postmortem["markdown"], "the postmortem has no timeline")
        actions = [one for one in self.api.items("action-items") if one["incident"] == id]
        self._expect(bool(actions), "no action item is open")
        return f"recovered in {show['seconds_to_recover']:.0f} s, 0 of {deployment['requests']} requests failed"

    def operations(self) -> str:
        started = self.api.post("tasks/check-stock/start", {"inputs": {"product": "assam", "pieces": "1200"}})
        dispatched = self.api.post(
            "workflows/dispatch", {"repository": "ops", "workflow": ".opsroom/workflows/backup.yml"}
        )
        applied = self._configure()
        for one in (started, dispatched):
            run = wait_for(f"run {one['run']}", partial(self._conclusion, one["run"]), seconds=60)
            self._expect(run["conclusion"] == "success", f"run {run['id']} ended as {run['conclusion']}")
        backups = self.api.items("backups")
        verified = [one for one in backups if one["verified"]]
        self._expect(bool(verified), "no backup was restored and verified")
        return f"backup {verified[0]['id']} restored; {applied}"

    def records(self) -> str:
        docs = wait_for("built documents", lambda: self.api.items("docs") or None, seconds=20)
        self.seen["docs"] = docs
        dora = self.api.get("dora/storefront")
        self._expect(dora["deployments"] >= 3 and dora["recovery_seconds"] is not None, f"DORA says {dora}")
        summary = wait_for("the cost of every run", self._costs, seconds=30)
        self._expect(summary["sum_micros"] == summary["sum_of_parts_micros"], f"costs do not add up: {summary}")
        self.seen["cost"] = summary
        controls = self.api.items("controls")
        proven = [one for one in controls if one["verdict"] == "met"]
        self._expect(bool(proven), f"no control has evidence: {[one['verdict'] for one in controls]}")
        return f"{len(docs)} documents, DORA over {dora['deployments']} deployments, {summary['runs']} runs priced, {len(proven)} of {len(controls)} controls met"

    def ledger(self) -> str:
        from opsroom.surfaces.cli.demo.tampering import found_on_copies

        verified = self.api.get("ledger/verify")
        self._expect(verified["ok"], f"the ledger does not verify: {verified['problems'][:3]}")
        assert self.server is not None
        found = found_on_copies(self.server)
        self.seen["ledger"] = {"events": verified["events"], "verified": verified["ok"], "tamper_found": found}
        self._expect(all(found.values()), f"tampering found: {found}")
        return f"{verified['events']} events verified; found on copies: {', '.join(found)}"

    def areas(self) -> str:
        declared = {one["name"]: one["events"] for one in self.api.get("areas")}
        self._expect(sorted(declared) == sorted(AREAS), f"the areas are {sorted(declared)}")
        given = {
            name: wait_for(f"an event of {name}", partial(self._events_of, declared[name]), seconds=20)
            for name in AREAS
        }
        self.seen["areas"] = given
        return f"{sum(map(len, given.values()))} events of {len(given)} areas"

    def _events_of(self, types: list[str]) -> list[str] | None:
        """Events of these types whose chain of causes ends at a push of this story."""
        found = []
        for type in types:
            for event in self.api.items("events", types=type, limit=3):
                chain = self.api.get(f"events/{event['id']}/chain")
                if chain[-1]["type"] == "change.pushed" and event["type"] in types:
                    found.append(event["id"])
        return found or None

    def _catalog_in_force(self) -> dict[str, Any] | None:
        shown: dict[str, Any] = self.api.get("catalog/show")
        if shown["offered"] != shown["commit"]:
            problems = self.api.get("catalog/problems")["problems"]
            raise StepNotDone(
                f"the ops repo has {counted(len(problems), 'problem')}, first {problems[0]['place']}: {problems[0]['message']}"
            )
        return shown if shown["commit"] else None

    def _finished_run(self, commit: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            runs = self.api.items("runs", commit=commit)
            return runs[0] if runs and runs[0]["conclusion"] else None

        run = wait_for(f"the pipeline of {commit[:12]}", look, seconds=RUN_SECONDS)
        self._expect(
            run["conclusion"] == "success",
            f"run {run['id']} of {run['workflow']} ended as {run['conclusion']}: {self._why(run['id'])}",
        )
        return run

    def _why(self, run: str) -> str:
        jobs = self.api.get(f"runs/{run}")["jobs"]
        failed = next((job for job in jobs if job["conclusion"] not in ("success", "skipped")), None)
        if failed is None:
            return "no job failed"
        errors = [
            one["message"] for one in self.api.get(f"runs/{run}").get("annotations", []) if one["level"] == "error"
        ]
        return f"job {failed['id']}: {'; '.join(errors[:2]) or failed['conclusion']}"

    def _conclusion(self, run: str) -> dict[str, Any] | None:
        shown: dict[str, Any] = self.api.get(f"runs/{run}")
        return shown if shown["conclusion"] else None

    def _artifact(self, commit: str) -> dict[str, Any]:
        found = [one for one in self.api.items("artifacts") if one["commit"] == commit]
        self._expect(bool(found), f"no artefact of {commit[:12]}")
        return dict(found[0])

    def _check_artifact(self, digest: str) -> None:
        shown = self.api.get(f"artifacts/{digest}")
        self._expect(
            bool(shown["sbom"]) and bool(shown["provenance"]), f"artefact {digest[:19]} lacks SBOM or provenance"
        )

    def _settled_deployment(self, commit: str) -> dict[str, Any]:
        """The deployment of a commit to production, once the traffic of its time has been reported."""

        def look() -> dict[str, Any] | None:
            found = [
                one
                for one in self.api.items("deployments", service="storefront", environment="production")
                if one["commit"] == commit
            ]
            return found[0] if found and found[0]["finished"] and self._reported(found[0]) else None

        return wait_for(f"the deployment of {commit[:12]} to production", look, seconds=30)

    def _reported(self, deployment: dict[str, Any]) -> bool:
        shown = self.api.get("traffic/show", service="storefront", environment="production")
        if not shown["until"]:
            return False
        # The seconds around the switch count too; SETTLE of delivery says how many after its end.
        until = datetime.fromisoformat(shown["until"])
        return until >= datetime.fromisoformat(deployment["finished"]) + timedelta(seconds=3)

    def _start_traffic(self) -> None:
        assert self.server is not None
        self.server.start_traffic("storefront-steady", environment="production")
        wait_for(
            "steady traffic",
            lambda: self.api.get("traffic/show", service="storefront", environment="production")["requests"],
            seconds=15,
        )

    def _traffic(self, since: float, until: float) -> dict[str, Any]:
        shown: dict[str, Any] = self.api.get(
            "traffic/show", service="storefront", environment="production",
            since=datetime.fromtimestamp(since, UTC).isoformat(), until=datetime.fromtimestamp(until, UTC).isoformat(),
        )  # fmt: skip
        return shown

    def _live(self) -> list[dict[str, Any]]:
        found = []
        for environment in self.api.get("environments"):
            found += [
                {**one, "environment": environment["name"]} for one in environment["services"] if one["deployment"]
            ]
        return found

    def _logs(self) -> list[Any] | None:
        page = self.api.get("logs/search", query="service:storefront", limit=50)
        return [line for line in page["items"] if line["trace_id"]] or None

    def _alert(self) -> dict[str, Any] | None:
        fired = [one for one in self.api.items("alerts") if one["name"] == ALERT and one["fired_at"]]
        if not fired:
            return None
        at = datetime.fromisoformat(fired[0]["fired_at"])
        switched = datetime.fromisoformat(self.seen["bad"]["switched"])
        return {"name": ALERT, "seconds_from_deploy": round((at - switched).total_seconds(), 2)}

    def _incident(self) -> dict[str, Any] | None:
        found = self.api.items("incidents")
        return dict(found[0]) if found else None

    def _incident_with_page(self, id: str) -> dict[str, Any] | None:
        delivered = [page for page in self._pages(id) if page["delivered"]]
        failed = [page for page in self._pages(id) if not page["delivered"]]
        return dict(self.api.get(f"incidents/{id}")) if delivered and failed else None

    def _pages(self, incident: str) -> list[dict[str, Any]]:
        return [dict(page) for page in self.api.items("pages", incident=incident)]

    def _rolled_back(self) -> dict[str, Any] | None:
        found = self.api.items("deployments", service="storefront", environment="production")
        back = [one for one in found if one["kind"] == "rollback" and one["finished"]]
        return dict(back[0]) if back and self._reported(back[0]) else None

    def _resolved(self, id: str) -> dict[str, Any] | None:
        shown = self.api.get(f"incidents/{id}")
        return dict(shown) if shown["state"] == "resolved" else None

    def _configure(self) -> str:
        """Plan, apply and drift of files on this host: the plan right after the apply is empty."""
        plan = self.api.post("plans", {"target": "shop-host"})
        if plan["changes"]:
            self.api.post(f"plans/{plan['id']}/apply", {"digest": plan["digest"]})
        again = self.api.post("plans", {"target": "shop-host"})
        self._expect(not again["changes"], f"the plan after the apply has {counted(len(again['changes']), 'change')}")
        assert self.server is not None
        motd = self.server.host_folder / "etc" / "motd"
        motd.write_text("changed by hand\n")
        drift = wait_for(
            "drift found", lambda: [one for one in self.api.items("drift") if one["objects"]] or None, seconds=20
        )
        return f"{counted(len(plan['changes']), 'file')} applied, second plan empty, drift of {len(drift[0]['objects'])} found"

    def _costs(self) -> dict[str, Any] | None:
        summary: dict[str, Any] = self.api.get("costs/summary")
        runs = [run for run in self.api.items("runs", limit=200) if run["conclusion"]]
        return summary if runs and summary["runs"] >= len(runs) else None

    def _use(self, repository: str, path: str, line: str, files: dict[str, str]) -> None:
        """Adds a line to a source file, so that the artefact is another."""
        text = (self.team.work(repository) / path).read_text()
        files[path] = re.sub(r"\n+\Z", "", text) + "\n" + line

    def _expect(self, held: bool, otherwise: str) -> None:
        if not held:
            raise StepNotDone(otherwise)
