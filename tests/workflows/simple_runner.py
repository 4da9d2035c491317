"""A runner for tests of the scheduler: bash steps without sandbox, expressions or masks, by the same folder protocol.

`run: crash` ends the runner as kill -9 would, once; `uses: opsroom/…` suspends; a step waits for the file it names by `wait-for`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

folder = Path()
order: dict[str, Any] = {}
secrets: dict[str, str] = {}
seq = 0
cancelled = False


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def last_seq() -> int:
    try:
        data = (folder / "events.jsonl").read_bytes()
    except FileNotFoundError:
        return 0
    if data and not data.endswith(b"\n"):
        with (folder / "events.jsonl").open("ab") as file:
            file.write(b"\n")
    seqs = []
    for line in data.splitlines():
        try:
            seqs.append(json.loads(line)["seq"])
        except ValueError:
            continue
    return max(seqs, default=0)


def say(type: str, **data: Any) -> None:
    global seq
    seq += 1
    line = json.dumps({"seq": seq, "at": now(), "type": type, "data": data}) + "\n"
    with (folder / "events.jsonl").open("a") as file:
        file.write(line)


def log(step: int, text: str) -> None:
    with (folder / "log.jsonl").open("a") as file:
        for line in text.splitlines():
            file.write(json.dumps({"at": now(), "step": step, "text": line, "stream": "out"}) + "\n")


def asked_to_stop(*_: Any) -> None:
    global cancelled
    cancelled = True


def bash(step: dict[str, Any], secrets: dict[str, str]) -> tuple[int, str]:
    process = subprocess.Popen(
        ["bash", "-ec", step["run"]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder / "workspace",
        env={"PATH": os.environ["PATH"], "STEP_ATTEMPT": str(order["step_attempt"]), **secrets},
    )  # fmt: skip
    while True:
        try:
            return process.wait(0.01), process.communicate()[0]
        except subprocess.TimeoutExpired:
            if cancelled and not step.get("always"):
                process.kill()


def carry_out() -> str:
    conclusion = "failure" if any(one["conclusion"] == "failure" for one in order["done"]) else "success"
    if any(one["conclusion"] == "cancelled" for one in order["done"]):
        conclusion = "cancelled"
    for index, step in enumerate(order["steps"]):
        if index < order["start_at"]:
            continue
        always = step.get("if") == "always()"
        if cancelled:
            conclusion = "cancelled"
        if conclusion != "success" and not always:
            say("step.finished", index=index, id=step.get("id", ""), outcome="skipped", conclusion="skipped")
            continue
        if step.get("uses", "").startswith("opsroom/"):
            say("job.suspended", index=index, uses=step["uses"], inputs=step.get("with", {}), env={})
            os._exit(0)
        say("step.started", index=index, id=step.get("id", ""), name=step.get("name", ""))
        if "crash" in step.get("run", "") and order["step_attempt"] <= step["run"].count("crash"):
            os.kill(os.getpid(), signal.SIGKILL)
        begun = time.time()
        code, output = bash(step, secrets) if "crash" not in step["run"] else (0, "")
        log(index, output)
        outcome = "cancelled" if cancelled and not always else "success" if code == 0 else "failure"
        say(
            "step.finished", index=index, id=step.get("id", ""), outcome=outcome, conclusion=outcome, exit_code=code, cpu_seconds=0.01,
            outputs={"said": output.strip()}, started=now(), finished=now(), error="" if code == 0 else f"exit code {code}",
        )  # fmt: skip
        conclusion = outcome if outcome != "success" else conclusion
        assert time.time() >= begun
    return conclusion


def main(arguments: list[str]) -> int:
    global folder, order, secrets, seq
    folder = Path(arguments[0])
    secrets = json.loads(sys.stdin.read())["secrets"]
    order = json.loads((folder / "order.json").read_text())
    seq = last_seq()
    signal.signal(signal.SIGTERM, asked_to_stop)
    (folder / "workspace").mkdir(exist_ok=True)
    say("job.started", pid=os.getpid(), sandbox="none")
    ended = carry_out()
    say("job.finished", conclusion=ended, outputs={"result": ended}, cpu_seconds=0.02)
    return 0
