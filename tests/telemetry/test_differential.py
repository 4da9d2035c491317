"""The evaluator beside Prometheus itself, over generated series, where Prometheus is installed.

Versions before 3 close ranges on the left, so no sample and no subquery step stands on a bound here.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest

from opsroom.telemetry.limits import Limits
from opsroom.telemetry.port import Labels, labels
from opsroom.telemetry.promql.engine import query_range
from opsroom.telemetry.promql.source import MemorySource

START = (int(time.time()) - 4 * 3600) // 3600 * 3600
MINUTES = 60
EXPRESSIONS = """
requests_total
requests_total offset 7m
sum(requests_total)
sum by (job) (rate(requests_total[5m]))
avg without (instance) (increase(requests_total[10m]))
irate(requests_total[3m])
delta(temperature[5m])
idelta(temperature[3m])
deriv(temperature[7m])
predict_linear(temperature[7m], 600)
changes(temperature[9m])
resets(requests_total[20m])
min_over_time(temperature[5m])
max_over_time(temperature[5m])
avg_over_time(temperature[5m])
sum_over_time(temperature[5m])
count_over_time(temperature[5m])
last_over_time(temperature[5m])
present_over_time(temperature[2m])
quantile_over_time(0.3, temperature[6m])
stddev_over_time(temperature[6m])
stdvar_over_time(temperature[6m])
holt_winters(temperature[6m], 0.4, 0.6) ## double_exponential_smoothing(temperature[6m], 0.4, 0.6)
rate(requests_total[5m]) > 1.5
rate(requests_total[5m]) > bool 1.5
requests_total / on (job, instance) temperature
requests_total * ignoring (zone) group_left (zone) labelled
max by (job) (temperature) + on (job) group_right () temperature
requests_total and on (instance) temperature > 20
requests_total unless on (instance) temperature > 20
temperature > 20 or requests_total
topk(2, requests_total)
bottomk by (job) (1, temperature)
quantile(0.7, temperature)
quantile by (job) (0.2, requests_total)
stddev(temperature)
stdvar by (job) (temperature)
count by (job) (temperature > 15)
count_values("v", round(temperature / 10))
group(temperature)
min(temperature) - max(temperature)
histogram_quantile(0.9, sum by (le) (rate(latency_bucket[5m])))
histogram_quantile(0.5, rate(latency_bucket[5m]))
max_over_time(rate(requests_total[2m])[10m10s500ms:1m])
sum_over_time(temperature[10m500ms:97s] offset 3m)
avg_over_time((temperature > 15)[10m5s500ms:30s])
absent(temperature > 1000)
absent(temperature{job="none"})
absent_over_time(temperature{job="none"}[5m])
clamp(temperature, 10, 20)
round(temperature, 5)
floor(temperature) % 7
-temperature ^ 2
exp(temperature / 100) + ln(requests_total)
label_replace(temperature, "z", "$1-x", "instance", "i(.*)")
label_join(temperature, "z", "/", "job", "instance")
time() - timestamp(temperature)
hour() + minute() / 60
day_of_week(vector(time())) + days_in_month(vector(time()))
scalar(max(temperature)) + temperature
vector(scalar(sum(requests_total)))
temperature @ end() - temperature
rate(requests_total[5m] @ start())
sgn(temperature - 15)
sum(temperature) without (job)
"""


class Generated:
    """The same random series in OpenMetrics text and in memory: jittered, with gaps, resets and late starts."""

    def __init__(self, seed: int) -> None:
        self.source, self.lines, self._random = MemorySource(), [], random.Random(seed)
        for job in ("a", "b"):
            for i in range(3):
                where = {"job": job, "instance": f"i{i}"}
                self._add("requests_total", where, self._counter(100.0 + 50 * i))
                self._add("temperature", where, [self._random.gauss(15, 6) for _ in range(MINUTES * 4)])
                self._add("labelled", where | {"zone": f"z{i}"}, [1.0] * (MINUTES * 4))
            fast, slow = self._counter(300.0), self._counter(200.0)
            total = [f + s for f, s in zip(fast, slow, strict=True)]
            for le, values in (("0.1", fast), ("0.5", total), ("2.5", total), ("+Inf", total)):
                self._add("latency_bucket", {"job": job, "le": le}, values, steady=True)

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines) + "# EOF\n"

    def _counter(self, start: float) -> list[float]:
        values, value = [], start
        for _ in range(MINUTES * 4):
            value += self._random.randrange(60)
            if self._random.random() < 0.01 and value > 2000:
                value = self._random.randrange(10)
            values.append(value)
        return values

    def _add(self, name: str, of: dict[str, str], values: list[float], *, steady: bool = False) -> None:
        points, block = [], ",".join(f'{k}="{v}"' for k, v in of.items())
        for number, value in enumerate(values):
            if not steady and self._random.random() < 0.05:
                continue
            at = (START + 15 * number) * 1000 + (4321 if steady else self._random.randrange(1001, 9999))
            points.append((at, value))
            self.lines.append(f"{name}{{{block}}} {value!r} {at / 1000:.3f}")
        self.source.add(labels({**of, "__name__": name}), points)


@pytest.fixture(scope="module")
def generated() -> Generated:
    return Generated(11)


@pytest.fixture(scope="module")
def prometheus(generated: Generated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not (shutil.which("prometheus") and shutil.which("promtool")):
        pytest.skip("prometheus and promtool are not installed; install the package prometheus to compare with it")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "in.om").write_text(generated.text())
    (folder / "config.yml").write_text("scrape_configs: []\n")
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "in.om", folder / "data"],
        check=True,
        capture_output=True,
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'config.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://{address}/-/ready", timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait()


def ask(url: str, expression: str, start: float, end: float, step: float) -> dict[Labels, dict[float, float]]:
    """Prometheus's answer; its refusal fails the test with its words."""
    form = urllib.parse.urlencode({"query": expression, "start": start, "end": end, "step": step})
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query_range?{form}", timeout=30) as answer:
            result = json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        pytest.fail(f"{expression}: {error.read().decode()}")
    return {labels(one["metric"]): {float(t): float(v) for t, v in one["values"]} for one in result}


def close(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or a == b or abs(a - b) <= 1e-11 * max(abs(a), abs(b), 1e-3)


@pytest.mark.slow
def test_the_same_as_prometheus(prometheus: str, generated: Generated) -> None:
    wrong, compared = [], 0
    start, end, step = START + 1200.0, START + 3300.0, 60.0
    for line in EXPRESSIONS.strip().splitlines():
        theirs, _, ours = line.partition(" ## ")
        wanted = ask(prometheus, theirs, start, end, step)
        result = query_range(generated.source, ours or theirs, start, end, step, Limits())
        found = {p.labels: dict(zip(p.times, p.values, strict=True)) for p in result.series}
        compared += sum(len(values) for values in wanted.values())
        if found.keys() != wanted.keys():
            wrong.append(f"{line}: series {len(found)}, wanted {len(wanted)}")
            continue
        for of, values in wanted.items():
            bad = [
                t
                for t in values | found[of]
                if t not in found[of] or t not in values or not close(values[t], found[of][t])
            ]
            if bad:
                pair = (found[of].get(bad[0]), values.get(bad[0]))
                wrong.append(f"{line}: {dict(of)} at {bad[0]}: {pair[0]}, wanted {pair[1]}; {len(bad)} points")
                break
    assert wrong == []
    assert compared > 10_000
