"""Reading expositions: the published OpenMetrics cases, the reference client as oracle, and anything at all."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from opsroom.kernel.errors import Invalid
from opsroom.telemetry.exposition import Parser
from opsroom.telemetry.openmetrics import parse_openmetrics
from opsroom.telemetry.port import labels

CASES = Path(__file__).parents[2].parent / "shared" / "conformance" / "openmetrics" / "tests" / "testdata" / "parsers"


def test_published_openmetrics_cases() -> None:
    if not CASES.is_dir():
        pytest.skip(f"no published OpenMetrics cases at {CASES}")
    wrong = []
    folders = sorted(path.parent for path in CASES.glob("*/test.json"))
    for folder in folders:
        case = json.loads((folder / "test.json").read_text())
        try:
            Parser().parse((folder / case["file"]).read_bytes(), "application/openmetrics-text; version=1.0.0")
            parsed = True
        except Invalid:
            parsed = False
        if parsed != case["shouldParse"]:
            wrong.append(folder.name)
    assert len(folders) > 200
    assert wrong == []


def oracle(text: str) -> dict[tuple[tuple[str, str], ...], tuple[float, float | None]]:
    return {
        labels({**sample.labels, "__name__": sample.name}): (sample.value, sample.timestamp)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_reads_what_the_reference_client_writes() -> None:
    registry = CollectorRegistry()
    Counter("requests", "Requests.", ["path"], registry=registry).labels('/a"b\\c\nd').inc(3)
    Gauge("temperature", "Degrees.", registry=registry).set(-1.5)
    Histogram("latency_seconds", "Latency.", registry=registry).observe(0.2)
    Summary("size_bytes", "Size.", registry=registry).observe(7)
    text = generate_latest(registry).decode()
    found = Parser().parse_text(text)
    assert {s.labels: (s.value, s.time) for s in found.samples} == oracle(text)
    assert {m.metric: m.type for m in found.metadata}["latency_seconds"] == "histogram"


names = st.from_regex(r"[a-z_:][a-z0-9_:]{0,5}", fullmatch=True)
values = st.floats() | st.integers(-(10**20), 10**20).map(float)
label_texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"), max_size=8
)


@given(
    st.lists(
        st.tuples(
            names,
            st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,4}", fullmatch=True), label_texts, max_size=3),
            values,
            st.none() | st.integers(0, 10**13),
        ),
        max_size=8,
    )
)
def test_reads_back_any_sample(samples: list[tuple[str, dict[str, str], float, int | None]]) -> None:
    lines, wanted = [], []
    for name, of, value, time in samples:
        quoted = {k: v.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') for k, v in of.items()}
        block = ",".join(f'{k}="{v}"' for k, v in quoted.items())
        lines.append(f"{name}{{{block}}} {value!r}" + ("" if time is None else f" {time}"))
        wanted.append((labels({**of, "__name__": name}), value, None if time is None else time / 1000))
    parser = Parser()
    for _ in range(2):  # the second time from the cache
        found = [(s.labels, s.value, s.time) for s in parser.parse_text("\n".join(lines) + "\n").samples]
        assert [(of, repr(v), t) for of, v, t in found] == [(of, repr(v), t) for of, v, t in wanted]


@given(st.text())
def test_any_text_is_read_or_refused_with_its_line(text: str) -> None:
    for parse in (Parser().parse_text, parse_openmetrics):
        try:
            parse(text)
        except Invalid as error:
            assert str(error).startswith("line ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1\nb\n", "line 2 is no sample"),
        ('a{b="c} 1\n', "line 1 is no sample"),
        ('a{b="c",b="d"} 1', "line 1 has the label b twice"),
        ("a one\n", "line 1 has the value 'one', which is no number"),
        ("a 1_0\n", "line 1 has the value '1_0'"),
        ("# TYPE a meter\n", "line 1 gives a the type 'meter'"),
    ],
)
def test_errors_name_the_line(text: str, message: str) -> None:
    with pytest.raises(Invalid, match="line"):
        Parser().parse_text(text)
    try:
        Parser().parse_text(text)
    except Invalid as error:
        assert message in str(error)


def test_quoted_names_and_special_values() -> None:
    found = Parser().parse_text('{"my.metric","a.b"="c"} +Inf\r\nx NaN 1500\n').samples
    assert found[0].labels == (("__name__", "my.metric"), ("a.b", "c"))
    assert found[0].value == math.inf
    assert math.isnan(found[1].value)
    assert found[1].time == 1.5
