"""Resources as code: loading, every kind of problem with its place, references, the graph, and which catalog is in force."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from opsroom.kernel.errors import NotFound, Place, Problem
from opsroom.kernel.resources import (
    KINDS,
    Address,
    Catalog,
    Catalogs,
    Cron,
    Duration,
    Kind,
    Money,
    Reference,
    SecretText,
    Spec,
    TimeZone,
    fill_secrets,
    format_duration,
    format_money,
    load_catalog,
    parse_duration,
    parse_money,
    schema_of,
)

PEOPLE = """\
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: shop-team}
spec: {type: team, children: []}
---
apiVersion: backstage.io/v1alpha1
kind: User
metadata: {name: maria}
spec: {memberOf: [shop-team]}
"""


class Served(Spec):
    service: str
    address: Address
    env: Mapping[str, SecretText] = {}
    drain: Duration = 10.0


class Where(Spec):
    tier: Literal["staging", "production"]
    strategy: Literal["recreate", "blue-green"] = "recreate"
    warn_after: Duration = 1.0
    services: tuple[Served, ...] = ()


class Timer(Spec):
    workflow: str
    repository: str = ""
    cron: tuple[Cron, ...] = ()
    timezone: TimeZone = "UTC"


class Paper(Spec):
    title: str
    service: str = ""


class Rules(Spec):
    groups: tuple[dict[str, str], ...]


AREAS = (
    Kind(
        name="Environment", api_version="opsroom.dev/v1", model=Where, area="delivery",
        references=(Reference("services[].service", "Component"),), secrets=("services[].env.*",),
    ),
    Kind(
        name="Schedule", api_version="opsroom.dev/v1", model=Timer, area="automation",
        references=(Reference("workflow", file=".opsroom/workflows/", unless="repository"),),
    ),
    Kind(
        name="Runbook", api_version="opsroom.dev/v1", model=Paper, area="documentation", where=("runbooks/*.md",),
        references=(Reference("service", "Component"),),
    ),
    Kind(name="Rules", api_version="", model=Rules, area="observability", plural="Rules", where=("rules/*.yml",)),
)  # fmt: skip


def component(name: str, **spec: object) -> str:
    spec = {"type": "service", "lifecycle": "production", "owner": "shop-team", **spec}
    head = "apiVersion: backstage.io/v1alpha1\nkind: Component\n"
    return f"{head}metadata: {{name: {name}}}\nspec: {json.dumps(spec)}\n"


def load(**files: str) -> tuple[Catalog, list[Problem]]:
    """Loads `catalog-info.yaml` with people in it, and these files; `__` in a name is `/`, and the suffix is `.yaml`."""
    named = {f"{name.replace('__', '/')}.yaml": text for name, text in files.items()}
    return load_catalog({"catalog-info.yaml": PEOPLE, **named}, "c0ffee", AREAS)


def told(problems: list[Problem]) -> str:
    return "\n".join(map(str, problems))


def environment(text: str) -> str:
    return "apiVersion: opsroom.dev/v1\nkind: Environment\nmetadata:\n  name: staging\nspec:\n" + text


def test_a_good_repository_has_no_problems() -> None:
    catalog, problems = load(
        more=component("storefront"),
        opsroom__environments=environment(
            "  tier: staging\n  warnAfter: 1m\n  services:\n"
            "    - service: storefront\n      address: 127.0.0.1:80\n      drain: 2m30s\n"
        ),
    )
    assert not problems
    spec = catalog.get("Environment", "staging").spec
    assert (spec.tier, spec.warn_after, spec.services[0].drain) == ("staging", 60.0, 150.0)
    assert catalog.specs(Where) == {"staging": spec}
    assert catalog.get("Component", "storefront").place == Place("more.yaml", 1, 1)
    assert catalog.get("Environment", "staging").place_of("services", 0, "drain") == Place(
        "opsroom/environments.yaml", 11, 14
    )
    assert catalog.commit == "c0ffee"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  tier: stagin\n", "f.yaml:6:9: spec.tier 'stagin' is not allowed; did you mean staging? allowed: production, staging"),
        ("  tier: staging\n  stratgy: recreate\n", "f.yaml:7:3: unknown field spec.stratgy; did you mean strategy?"),
        ("  strategy: recreate\n", "f.yaml:6:3: spec.tier is missing; allowed: production, staging"),
        ("  tier: staging\n  warnAfter: 5\n", "f.yaml:7:14: spec.warnAfter 5 is not a duration; write it as 250ms"),
        ("  tier: staging\n  warn_after: 5s\n", "f.yaml:7:3: unknown field spec.warn_after; did you mean warnAfter?"),
        ("  tier: staging\n  services: storefront\n", "f.yaml:7:13: spec.services 'storefront' is not a list"),
        (
            "  tier: staging\n  services:\n    - service: shop\n      address: here\n",
            "f.yaml:9:16: spec.services[0].address 'here' is not an address; write it as host:port",
        ),
        (
            "  tier: staging\n  services:\n    - address: a:1\n      service: 7\n",
            "f.yaml:9:16: spec.services[0].service 7 is not text; write it in quotes: \"7\"",
        ),
        (
            "  tier: staging\n  services:\n    - address: a:1\n      service: x\n      adress: a:1\n",
            "f.yaml:10:7: unknown field spec.services[0].adress; did you mean address?",
        ),
        (
            "  tier: staging\n  services:\n    - {address: 'a:1', service: storefrnt}\n",
            "f.yaml:8:33: spec.services[0].service 'storefrnt' refers to no Component; did you mean storefront?",
        ),
        (
            "  tier: staging\n  services:\n    - {address: 'a:1', service: 'group:shop-team'}\n",
            "f.yaml:8:33: spec.services[0].service 'group:shop-team' refers to a group, which may not stand here",
        ),
        ("  tier: ${{ vars.TIER }}\n", "f.yaml:6:9: '${{ vars.TIER }}' in spec.tier names no variable"),
        ("  tier: ${{ github.ref }}\n", "f.yaml:6:9: '${{ github.ref }}' in spec.tier is neither a variable nor a secret"),
        ("  tier: ${{ secrets.TIER }}\n", "f.yaml:6:9: '${{ secrets.TIER }}' in spec.tier: a secret may not stand here"),
        ("  tier: staging\n  tier: production\n", "f.yaml:7:3: duplicate key 'tier'"),
        ("  - a\n", "f.yaml:6:3: spec ['a'] is not a map"),
    ],
)  # fmt: skip
def test_each_fault_is_told_with_its_place_and_the_way_out(text: str, expected: str) -> None:
    _, problems = load(f=environment(text), more=component("storefront"))
    assert expected in told(problems)


def test_it_never_stops_at_the_first() -> None:
    _, problems = load(
        a=environment("  tier: stagin\n  stratgy: x\n"),
        b="apiVersion: opsroom.dev/v1\nkind: Environmnt\n",
        c="apiVersion: opsroom.dev/v1\nkind: [\n",
        d=component("storefront", owner="nobody"),
        opsroom__e="tier: staging\n",
    )
    places = [str(problem.place).partition(":")[0] for problem in problems]
    assert places == ["a.yaml", "a.yaml", "b.yaml", "c.yaml", "d.yaml", "opsroom/e.yaml"]
    assert "did you mean Environment?" in told(problems)
    assert problems == sorted(problems)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("apiVersion: opsroom.dev/v1\nkind: Environment\nmetadata: {nam: x}\n", "metadata.name is missing"),
        ("apiVersion: opsroom.dev/v1\nkind: Environment\n", "metadata is missing"),
        ("apiVersion: opsroom.dev/v1\nkind: Environment\nmetadata: {name: 'a b'}\n", "metadata.name 'a b' is not of the right form"),
        ("apiVersion: opsroom.dev/v1\nkind: Environment\nmetadata: {name: x, label: {}}\n", "did you mean labels?"),
        ("apiVersion: opsroom.dev/v1\nkind: Environment\nmetadata: {name: x}\nspecs: {}\n", "unknown field specs; did you mean spec?"),
        ("apiVersion: opsroom.dev/v1\nspec: {}\n", "start it with apiVersion: and kind:"),
    ],
)  # fmt: skip
def test_a_broken_envelope(head: str, expected: str) -> None:
    _, problems = load(f=head)
    assert expected in told(problems)


def test_everything_wrong_with_one_resource_is_told_at_once() -> None:
    text = (
        "apiVersion: opsroom.dev/v1\nkind: Environment\nmetadata: {name: a b}\nspec:\n  tier: ${{ vars.NONE }}\n"
        "  warnAfter: soon\n  services:\n    - {service: storefrnt, address: here, env: {A: '${{ vars.B'}}\n"
    )
    _, problems = load(f=text, more=component("storefront"))
    assert [str(problem.place) for problem in problems] == [
        "f.yaml:3:18", "f.yaml:5:9", "f.yaml:6:14", "f.yaml:8:17", "f.yaml:8:37", "f.yaml:8:52",
    ]  # fmt: skip
    assert "'${{ vars.B' in spec.services[0].env.A opens ${{ and does not close it; close it with }}" in told(problems)
    assert told(problems).count("vars.NONE") == 1, "what could not be filled in is told once"


def test_a_second_of_one_name_is_checked_too() -> None:
    _, problems = load(a=component("storefront"), b=component("storefront", owner="nobody"))
    assert [str(problem.place) for problem in problems] == ["b.yaml:3:18", "b.yaml:4:63"]


class Watch(Spec):
    name: Annotated[str, Field(min_length=1)]
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    every: Annotated[Duration, Field(gt=0)] = 1.0


class Watches(Spec):
    watches: Annotated[tuple[Watch, ...], Field(min_length=1)]
    told: tuple[str, ...] = ()


WATCHES = Kind(name="Watches", api_version="opsroom.dev/v1", model=Watches, events=("told[]",))


def watches(text: str) -> list[str]:
    whole = f"apiVersion: opsroom.dev/v1\nkind: Watches\nmetadata: {{name: x}}\nspec: {text}\n"
    types = {"run.started", "run.finished"}
    return [str(problem) for problem in load_catalog({"w.yaml": whole}, "c", [WATCHES], event_types=types)[1]]


def test_a_list_is_too_short_only_where_it_is() -> None:
    assert watches("{watches: [{name: ''}]}") == [
        "w.yaml:4:25: spec.watches[0].name '' is empty; write at least one character"
    ]
    assert watches("{watches: []}") == ["w.yaml:4:17: spec.watches [] has too few items; list at least one"]


def test_a_number_out_of_bounds_names_the_bound_and_what_was_written() -> None:
    assert watches("{watches: [{name: a, share: 7, every: 0s}, {name: b, share: 0}]}") == [
        "w.yaml:4:35: spec.watches[0].share 7 is too large; write at most 1",
        "w.yaml:4:45: spec.watches[0].every '0s' is too small; write a number above 0",
        "w.yaml:4:67: spec.watches[1].share 0 is too small; write a number above 0",
    ]


def test_a_type_of_event_that_nothing_records_is_told() -> None:
    (fault,) = watches("{watches: [{name: a}], told: [run.started, run.finishd]}")
    assert fault.startswith("w.yaml:4:50: spec.told[1] 'run.finishd' is no type of event; did you mean run.finished?")


def test_an_older_version_that_nobody_knows_names_the_right_one() -> None:
    _, problems = load(f=component("x").replace("v1alpha1", "v2"))
    assert (
        told(problems) == "f.yaml:1:13: Component is not of apiVersion 'backstage.io/v2'; write backstage.io/v1alpha1"
    )


def test_a_name_that_stands_twice_names_the_first() -> None:
    _, problems = load(a=component("storefront"), b=component("storefront"))
    assert "b.yaml:3:18: Component 'storefront' stands twice; the first is at a.yaml:1:1" in told(problems)


def test_the_same_name_in_another_namespace_is_another_resource() -> None:
    other = component("storefront").replace("{name: storefront}", "{name: storefront, namespace: lab}")
    catalog, problems = load(a=component("storefront"), b=other)
    assert not problems
    assert [one.name for one in catalog.all("Component")] == ["lab/storefront", "storefront"]
    assert catalog.find("Component", "component:default/storefront") is catalog.get("Component", "storefront")


def test_files_of_others_are_left_alone() -> None:
    catalog, problems = load_catalog(
        {
            "chart/templates/x.yaml": "{{ if .Values.x }}\nkind: Deployment\n",
            "k8s/app.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n",
            ".github/x.yaml": "apiVersion: opsroom.dev/v1\nkind: Nothing\n",
            "logo.png": b"\x89PNG\xff",
        },
        "c",
    )
    assert not problems and not catalog.all("Component")


def test_an_invalid_resource_is_not_reported_again_by_those_who_refer_to_it() -> None:
    _, problems = load(
        a=component("storefront", lifecycle=7),
        b=environment("  tier: staging\n  services:\n    - {address: 'a:1', service: storefront}\n"),
    )
    assert len(problems) == 1


def test_backstage_kinds_keep_fields_of_others_but_not_misspelt_ones() -> None:
    catalog, problems = load(a=component("storefront", squad="blue", consumesApi=["x"]))
    assert told(problems) == (
        "a.yaml:4:" + str(8 + len(json.dumps({"type": "service", "lifecycle": "production", "owner": "shop-team", "squad": "blue"})))
        + ": unknown field spec.consumesApi; did you mean consumesApis?"
    )  # fmt: skip
    assert not catalog.all("Component")


def test_variables_fill_specs_and_annotations_and_keep_their_type() -> None:
    text = (
        "apiVersion: opsroom.dev/v1\nkind: Variables\nmetadata: {name: here}\n"
        "spec: {values: {PORT: 8080, TIER: staging, FOLDER: ../x}}\n"
    )
    entity = component("storefront").replace(
        "{name: storefront}", '{name: storefront, annotations: {a/b: "${{ vars.FOLDER }}/y"}}'
    )
    catalog, problems = load(
        v=text, c=entity,
        f=environment(
            "  tier: ${{vars.TIER}}\n  services:\n    - service: storefront\n      address: 127.0.0.1:${{ vars.PORT }}\n"
            "      env: {TOKEN: 'Bearer ${{ secrets.TOKEN }}'}\n"
        ),
    )  # fmt: skip
    assert not problems
    spec = catalog.get("Environment", "staging").spec
    assert (spec.tier, spec.services[0].address) == ("staging", "127.0.0.1:8080")
    assert catalog.get("Component", "storefront").annotation("a/b") == "../x/y"
    assert catalog.variables == {"PORT": 8080, "TIER": "staging", "FOLDER": "../x"}
    assert fill_secrets(spec.services[0].env["TOKEN"], {"secret:TOKEN": "t0p"}.__getitem__) == "Bearer t0p"


def test_a_variable_set_twice() -> None:
    text = "apiVersion: opsroom.dev/v1\nkind: Variables\nmetadata: {{name: {}}}\nspec: {{values: {{PORT: 1}}}}\n"
    _, problems = load(a=text.format("one"), b=text.format("two"))
    assert "b.yaml:4:23: variable PORT is set twice" in told(problems)


def test_kinds_known_by_their_path() -> None:
    files: dict[str, str | bytes] = {
        "catalog-info.yaml": PEOPLE + "---\n" + component("storefront"),
        "runbooks/slow.md": "---\ntitle: Slow\nservice: storefront\n---\n\n# Slow\n",
        "runbooks/deep/none.md": "# No front matter\n",
        "runbooks/open.md": "---\ntitle: x\n",
        "runbooks/typo.md": "---\ntitle: x\nservice: storefrnt\n---\n",
        "rules/a.yml": "groups:\n  - {name: a}\n",
        "rules/b.yml": "groups: 7\n",
    }
    catalog, problems = load_catalog(files, "c", AREAS)
    assert catalog.get("Runbook", "runbooks/slow.md").body == "\n# Slow\n"
    assert catalog.get("Rules", "rules/a.yml").spec.groups == ({"name": "a"},)
    assert [str(problem) for problem in problems] == [
        "rules/b.yml:1:9: groups 7 is not a list; write it as [one, two]",
        "runbooks/deep/none.md:1:1: title is missing; add title:",
        "runbooks/open.md:1:1: the front matter does not end; close it with a line ---",
        "runbooks/typo.md:3:10: service 'storefrnt' refers to no Component; did you mean storefront? there are: storefront",
    ]


def test_a_workflow_that_is_no_file() -> None:
    text = "apiVersion: opsroom.dev/v1\nkind: Schedule\nmetadata: {name: n}\nspec:\n  workflow: .opsroom/workflows/bakup.yml\n"
    files: dict[str, str | bytes] = {".opsroom/workflows/backup.yml": "", "s.yaml": text}
    _, problems = load_catalog(files, "c", AREAS)
    assert "did you mean .opsroom/workflows/backup.yml?" in told(problems)
    files["s.yaml"] = text + "  repository: storefront\n"
    assert not load_catalog(files, "c", AREAS)[1]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("cron: ['30 25 * * *']", "a cron line is minute, hour"),
        ("cron: ['@daily']", "not a cron line of five fields"),
        ("timezone: Berlin", "not an IANA time zone"),
    ],
)
def test_cron_and_time_zone(spec: str, expected: str) -> None:
    head = "apiVersion: opsroom.dev/v1\nkind: Schedule\nmetadata: {name: n}\nspec: {workflow: x, repository: y, "
    assert expected in told(load(f=head + spec + "}\n")[1])


def test_the_graph_goes_through_apis_and_databases() -> None:
    api = "apiVersion: backstage.io/v1alpha1\nkind: API\nmetadata: {name: stock}\n"
    api += "spec: {type: openapi, lifecycle: production, owner: shop-team, definition: x}\n"
    base = (
        "apiVersion: backstage.io/v1alpha1\nkind: Resource\nmetadata: {name: db}\nspec: {type: db, owner: user:maria}\n"
    )
    catalog, problems = load(
        a=component("storefront", consumesApis=["stock"]),
        b=component("inventory", providesApis=["stock"], dependsOn=["resource:db", "component:clock"]),
        c=component("clock", dependsOn=["storefront"]),
        d=api, e=base,
    )  # fmt: skip
    assert not problems
    graph = catalog.graph()
    assert graph.dependencies("storefront") == ("inventory", "clock")
    assert graph.dependencies("storefront", transitive=False) == ("inventory",)
    assert graph.dependents("inventory") == ("storefront", "clock")
    assert graph.dependents("inventory", transitive=False) == ("storefront",)
    assert graph.dependencies("nobody") == ()
    assert (catalog.owner_of("storefront"), catalog.owner_of("resource:db")) == ("shop-team", "user:maria")
    assert catalog.members_of("shop-team") == ("maria",)


def test_what_is_not_there_is_not_found_with_the_nearest() -> None:
    catalog, _ = load(a=component("storefront"))
    with pytest.raises(NotFound, match="did you mean storefront"):
        catalog.get("Component", "storefrnt")
    with pytest.raises(NotFound, match="no file 'x'"):
        catalog.read("x")
    with pytest.raises(NotFound):
        catalog.owner_of("nobody")
    assert catalog.find("Component", "storefrnt") is None


def test_a_kinds_own_check_sees_the_whole_catalog() -> None:
    def alone(resource: object, catalog: Catalog) -> list[Problem]:
        here = catalog.all("Note")
        return [Problem(Place("x"), f"{len(here)} notes")] if len(here) > 1 else []

    kind = Kind(name="Note", api_version="opsroom.dev/v1", model=Paper, check=alone)
    text = "apiVersion: opsroom.dev/v1\nkind: Note\nmetadata: {name: a}\nspec: {title: x}\n"
    _, problems = load_catalog({"n.yaml": text + "---\n" + text.replace("name: a", "name: b")}, "c", [kind])
    assert told(problems) == "x: 2 notes"


def test_a_bad_commit_leaves_the_last_good_one_in_force() -> None:
    catalogs, seen = Catalogs(), list[tuple[str, str]]()
    catalogs.on_change(lambda before, now: seen.append((before.commit, now.commit)))
    good, _ = load(a=component("storefront"))
    bad, problems = load(a=component("storefront", owner="nobody"))
    assert catalogs.current().commit == ""
    assert catalogs.offer("one", good, []) and catalogs.current() is good
    assert not catalogs.offer("two", bad, problems)
    assert catalogs.current() is good and catalogs.offered == "two"
    assert told(list(catalogs.problems())).startswith("a.yaml:4:")
    assert catalogs.offer("three", good, []) and not catalogs.problems()
    assert seen == [("", "c0ffee"), ("c0ffee", "c0ffee")]


def test_the_schema_accepts_what_loads_and_refuses_what_does_not() -> None:
    import jsonschema_rs

    schema = schema_of([*KINDS, *AREAS])
    validator = jsonschema_rs.validator_for(schema)
    document = {
        "apiVersion": "opsroom.dev/v1", "kind": "Environment", "metadata": {"name": "x"}, "spec": {"tier": "staging", "warnAfter": "5s"},
    }  # fmt: skip
    assert validator.is_valid(document)
    assert not validator.is_valid(document | {"spec": {"tier": "staging", "warnAfter": 5}})
    assert not validator.is_valid(document | {"kind": "Environmen"})
    assert "Paper" in schema["$defs"]


@pytest.fixture
def published(conformance: Path) -> list[Path]:
    """SchemaStore's must-pass files of catalog entities."""
    return sorted((conformance / "schemastore" / "test" / "catalog-info").glob("*.json"))


def test_published_catalog_files_are_accepted(published: list[Path]) -> None:
    """Each by itself: only references to other files may be missed."""
    known = {kind.name for kind in KINDS}
    for file in published:
        text = file.read_text("utf-8")
        if json.loads(text)["kind"] not in known:
            continue
        _, problems = load_catalog({"opsroom/catalog-info.yaml": text}, "c")
        assert [problem for problem in problems if "refers to no" not in problem.message] == [], file.name
    assert len(published) > 40


@pytest.mark.parametrize("field", ["metadata", "spec.owner", "spec.type", "spec.lifecycle", "metadata.name"])
def test_published_components_without_a_required_field_are_refused(published: list[Path], field: str) -> None:
    for file in published:
        document = json.loads(file.read_text("utf-8"))
        if document["kind"] != "Component":
            continue
        *way, last = field.split(".")
        del (document[way[0]] if way else document)[last]
        _, problems = load_catalog({"opsroom/catalog-info.yaml": json.dumps(document)}, "c")
        assert f"{field} is missing" in told(problems), file.name


_UNITS = st.lists(st.integers(0, 99), min_size=6, max_size=6).filter(any)


@given(_UNITS)
def test_durations_read_back(counts: list[int]) -> None:
    text = "".join(
        f"{count}{unit}" for count, unit in zip(counts, ("w", "d", "h", "m", "s", "ms"), strict=True) if count
    )
    seconds = parse_duration(text)
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-6)


@given(st.integers(0, 10**15))
def test_money_reads_back(micros: int) -> None:
    assert parse_money(format_money(micros)) == micros


@pytest.mark.parametrize("value", [1.5, True, None, "x", "0.0000001", "-1", "NaN", "1e99999999"])
def test_what_is_no_amount(value: object) -> None:
    with pytest.raises(ValueError):
        parse_money(value)


@pytest.mark.parametrize("value", ["", "5", "5 s", "s", "1s1h", "-1s", 5, None])
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError):
        parse_duration(value)


def test_money_in_a_model_is_micro_units() -> None:
    class Priced(Spec):
        amount: Money

    assert Priced(amount="12.5").amount == 12_500_000  # type: ignore[arg-type]


@given(st.text(max_size=200))
def test_no_text_breaks_the_loader(text: str) -> None:
    load_catalog(
        {"opsroom/x.yaml": text, "runbooks/x.md": text, "rules/x.yml": text, "catalog-info.yaml": text}, "c", AREAS
    )


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "tier", "services", "owner", "x"]), inner)
    ),
    max_leaves=8,
)


@given(st.sampled_from(["Environment", "Component", "Group", "Variables", "Schedule"]), _VALUES, _VALUES)
def test_no_value_breaks_the_loader(kind: str, metadata: object, spec: object) -> None:
    version = "backstage.io/v1alpha1" if kind in {"Component", "Group"} else "opsroom.dev/v1"
    text = json.dumps({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
    _, problems = load_catalog({"opsroom/x.yaml": text}, "c", AREAS)
    assert all(problem.place.line >= 1 and "\n" not in problem.message for problem in problems)
