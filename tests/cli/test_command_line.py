"""The command line: lazy help, derived commands against a real server, tables, JSON, exit codes, clear errors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import get_args

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.app.areas import load_areas
from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.contracts.operations import Model
from opsroom.contracts.plane import Plane
from opsroom.kernel.clock import parse_stamp
from opsroom.kernel.settings import Settings
from opsroom.surfaces.cli.commands import command_of
from opsroom.surfaces.cli.doctor import check_all
from opsroom.surfaces.cli.tables import _coloured, fitted, lines_of
from opsroom.surfaces.cli.values import JsonValue, Moment
from opsroom.surfaces.derived import derive

Run = Callable[..., tuple[int, str, str]]
HEAVY = ("click", "pydantic", "fastapi", "sqlalchemy", "httpx2", "cryptography", "chdb", "numpy", "pygit2", "yaml")


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.slow
def test_help_loads_no_library() -> None:
    loaded = python(
        "import sys; sys.argv = ['opsroom', '--help']\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from opsroom.__main__ import main; main()\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert "Start\n  up" in loaded and loaded.splitlines()[-1] == "LOADED []"


@pytest.mark.slow
def test_the_root_loads_nothing_heavy_either() -> None:
    loaded = python(
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from opsroom.surfaces.cli.root import main\n"
        f"print([name for name in {HEAVY[1:]!r} if name in sys.modules])"
    )
    assert loaded.strip() == "[]"


@pytest.mark.parametrize(
    "arguments", [("--help",), ("tokens", "--help"), ("tokens", "create", "--help"), ("serve", "--help")]
)
def test_help_is_there_at_every_level(run: Run, arguments: tuple[str, ...]) -> None:
    status, out, _ = run(*arguments)
    assert status == 0 and "Usage: opsroom" in out


@pytest.mark.parametrize("operation", KERNEL_OPERATIONS, ids=lambda one: one.name)
def test_every_operation_is_a_command_with_all_its_options(operation: object) -> None:
    derived = derive(operation)  # type: ignore[arg-type]
    command = command_of(derived)
    names = {parameter.name for parameter in command.params}
    assert names == {one.name for one in derived.parameters} | {"as_json"} | ({"id"} if derived.has_id else set())
    assert command.short_help and command.get_short_help_str(200) == derived.operation.summary


def test_a_list_is_a_table_for_people_and_json_for_programs(run: Run, address: str) -> None:
    assert run("tokens", "create", "--name", "ci", "--role", "viewer", "--days", "7", url=address)[0] == 0
    status, out, _ = run("tokens", "list")
    head, first, second = out.splitlines()
    assert status == 0 and head.split()[:4] == ["id", "person", "name", "role"]
    assert first.index("ci") == second.index("first start") == head.index("name")
    assert "2026-01-12 09:00:00" in first and "Z" not in first and "\x1b" not in out
    listed = json.loads(run("tokens", "list", "--json")[1])
    assert [token["name"] for token in listed] == ["ci", "first start"]


def test_a_page_says_how_to_go_on(run: Run, address: str) -> None:
    status, out, err = run("events", "list", "--limit", "1", url=address)
    assert status == 0 and len(out.splitlines()) == 2 and err.startswith("there is more: --after evt_")
    after = err.split()[-1]
    rest = json.loads(run("events", "list", "--after", after, "--json")[1])
    assert [event["type"] for event in rest["items"]] == ["token.created", "person.added"]
    one = run("events", "show", after)[1]
    assert one.splitlines()[0] == f"id        {after}" and "sentence  admin granted to person:admin" in one


def test_options_of_every_type_reach_the_operation(run: Run, address: str, plane: Plane) -> None:
    expires = "2026-01-05T12:00:00Z"
    status, out, err = run(
        "waivers", "create", "--kind", "silence", "--matcher", "service=storefront", "--matchers", "environment=staging",
        "--reason", "load test", "--expires", expires, url=address,
    )  # fmt: skip
    assert (status, err) == (0, "")
    [waiver] = plane.waivers.all()
    assert waiver.scope == 'service="storefront", environment="staging"' and waiver.expires == parse_stamp(expires)
    assert 'matchers    service="storefront", environment="staging"' in out
    assert run("waivers", "list", "--ended", "--kind", "freeze")[2] == "none\n"
    assert run("waivers", "end", waiver.id)[0] == 0
    assert waiver.id in run("waivers", "list", "--ended")[1]


def test_a_secret_comes_from_standard_input_and_is_never_an_argument(
    run: Run, address: str, plane: Plane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "value").write_text("line one\nline two\n")
    with (tmp_path / "value").open() as given:
        monkeypatch.setattr(sys, "stdin", given)
        status, out, _ = run("secrets", "set", "API_KEY", url=address)
    assert status == 0 and "line" not in out
    assert plane.secrets.resolve("secret:API_KEY", "person:admin") == "line one\nline two"
    assert run("secrets", "delete", "API_KEY")[:2] == (0, "done\n")


def test_the_servers_refusal_is_one_line_and_exit_1(run: Run, address: str) -> None:
    status, out, err = run("waivers", "show", "wvr_none", url=address)
    assert (status, out) == (
        1,
        "",
    ) and err == "Error: waiver 'wvr_none' does not exist; `opsroom waivers list` shows those there are\n"
    status, _, err = run("events", "show", "a/b", url=address)
    assert status == 1 and err.count("\n") == 1


def test_no_server_says_how_to_start_it(run: Run, plane: Plane) -> None:
    status, out, err = run("people", "list", url="http://127.0.0.1:1")
    assert (status, out, err) == (
        1,
        "",
        "Error: no server answers at http://127.0.0.1:1; start it with: opsroom serve\n",
    )


def test_no_token_says_where_one_is(run: Run, settings: Settings) -> None:
    status, _, err = run("people", "list", url="http://127.0.0.1:1")
    assert status == 1 and "set OPSROOM_TOKEN" in err and err.count("\n") == 1


def test_a_wrong_token_and_a_wrong_address(run: Run, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSROOM_TOKEN", "ops_wrong")
    assert "this token is not known here" in run("people", "list", url=address)[2]
    assert "no address" in run("people", "list", url="ftp://x")[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("tokns",),
        ("tokens", "lst"),
        ("tokens", "create"),
        ("tokens", "create", "--name", "x", "--days", "soon"),
        ("tokens", "create", "--name", "x", "--role", "king"),
        ("events", "list", "--since", "yesterday"),
        ("events", "show"),
        ("events", "show", ""),
    ],
)
def test_wrong_usage_is_exit_2(run: Run, arguments: tuple[str, ...]) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "") and "Error: " in err and "Traceback" not in err


def test_a_slip_of_the_finger_is_recognised(run: Run) -> None:
    assert "did you mean 'tokens'?" in run("tokns")[2]
    status, _, err = run()
    assert status == 2 and "Usage: opsroom COMMAND" in err


def test_sign_in_prints_a_link_that_works(run: Run, address: str, plane: Plane) -> None:
    status, out, _ = run("sign-in", url=address)
    assert status == 0 and "/sign-in?link=" in out
    assert plane.actors.redeem(out.strip().split("link=")[1]).person == "person:admin"


def test_serve_gets_settings_from_options_and_environment(run: Run, tmp_path: Path) -> None:
    started: list[Settings] = []
    status, _, _ = run(
        "serve", "--port", "0", "--repo", "/srv/ops", "--state", str(tmp_path / "s"), serve=started.append
    )
    assert status == 0 and [(one.port, one.repo, one.state) for one in started] == [(0, "/srv/ops", tmp_path / "s")]
    assert run("serve", "--port", "70000")[0] == 2


def test_an_unknown_setting_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSROOM_PROT", "1")
    status, _, err = run("people", "list")
    assert status == 1 and "OPSROOM_PROT='1' is no setting" in err


@pytest.mark.slow
def test_the_doctor_says_one_line_each(run: Run, settings: Settings) -> None:
    status, out, _ = run("doctor", url="http://127.0.0.1:1")
    found = {line.split()[1]: line for line in out.splitlines()}
    assert set(found) == {"python", "git", "sandbox", "caddy", "chdb", "assets", "keys", "state", "server"}
    assert "start it with: opsroom serve" in found["server"]
    assert status == (1 if any(line.startswith("missing") for line in found.values()) else 0)
    assert {one["name"] for one in json.loads(run("doctor", "--json")[1])} == set(found)


@pytest.mark.slow
def test_the_doctor_finds_keys_in_the_wrong_place(settings: Settings) -> None:
    inside = Settings(state=settings.state, keys=settings.state / "keys", url="http://127.0.0.1:1")
    [keys] = [one for one in check_all(inside) if one.name == "keys"]
    assert keys.state == "missing" and "OPSROOM_KEYS" in keys.way_out


@pytest.mark.parametrize(("text", "seconds"), [("90s", -90), ("-2h", -7200), ("+7d", 604800), ("1w", -604800)])
def test_a_span_is_a_moment(text: str, seconds: int) -> None:
    moment = parse_stamp(Moment().convert(text, None, None))
    assert abs(moment - datetime.now(UTC) - timedelta(seconds=seconds)) < timedelta(seconds=5)


@given(st.text(max_size=20))
def test_any_text_is_a_moment_or_wrong_usage(text: str) -> None:
    try:
        parse_stamp(Moment().convert(text, None, None))
    except click.UsageError:
        pass


def test_json_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": 1}')
    assert (
        JsonValue().convert(f"@{tmp_path}/x.json", None, None)
        == JsonValue().convert('{"a": 1}', None, None)
        == {"a": 1}
    )
    for bad in ("{", f"@{tmp_path}/absent"):
        with pytest.raises(click.UsageError):
            JsonValue().convert(bad, None, None)


cells = st.one_of(
    st.none(), st.integers(), st.booleans(), st.text(max_size=30), st.lists(st.text(max_size=5), max_size=3)
)
rows = st.lists(st.fixed_dictionaries({"id": cells, "name": cells, "at": cells}), min_size=1, max_size=5)


@given(rows=rows, width=st.integers(40, 120))
def test_a_table_has_one_line_a_row_and_fits_the_terminal(rows: list[dict[str, object]], width: int) -> None:
    lines, missing = fitted(rows, ("id", "name", "at"), width=width, today=date(2026, 11, 23))
    assert len(lines) == len(rows) + 1
    assert not any("\n" in line for line in lines)
    assert {"id", "name", "at"} >= set(missing)
    assert all(len(line) <= width for line in lines) or missing


def test_a_narrow_terminal_keeps_what_a_row_is_asked_for_by_and_says_what_it_leaves_out() -> None:
    row = {
        "id": "run_01m83sc23e1hnk0gz54mhn",
        "digest": "sha256:" + "ab" * 32,
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "created": "2026-11-23T08:47:30Z",
        "services": [{"name": "shop"}, {"name": "till"}],
    }
    wide, none = fitted([row], (), width=200, today=date(2001, 1, 1))
    assert none == []
    assert "sha256:abababababab  0123456789ab  " in wide[1]
    assert wide[1].endswith("shop, till")
    narrow, missing = fitted([row], (), width=60, today=date(2001, 1, 1))
    assert narrow[1].startswith("run_01m83sc23e1hnk0gz54mhn")
    assert missing
    assert all(len(line) <= 60 for line in narrow)


def test_what_goes_to_a_file_is_whole() -> None:
    row = {"id": "a", "digest": "sha256:" + "ab" * 32, "note": "x" * 110}
    assert "sha256:" + "ab" * 32 in lines_of([row])[1]
    assert "x" * 110 in lines_of([row])[1]


def test_the_columns_of_a_terminal_are_fields_of_what_is_listed() -> None:
    results = [derive(operation).result for area in load_areas() for operation in area.operations]
    listed = [
        one.model_fields["items"].annotation if hasattr(one, "model_fields") and "items" in one.model_fields else one
        for one in results
    ]
    models = [
        model for one in listed for model in get_args(one) if isinstance(model, type) and issubclass(model, Model)
    ]
    assert len(models) > 30
    assert [
        f"{model.__name__}.{name}" for model in models for name in model.columns if name not in model.model_fields
    ] == []


def test_a_row_has_the_colour_of_its_state_and_of_no_other_word() -> None:
    good, bad = {"id": "a", "verdict": "met", "title": "without failure"}, {"id": "b", "state": "failed"}
    assert _coloured("line", good) == click.style("line", fg="green")
    assert _coloured("line", bad) == click.style("line", fg="red")
    assert _coloured("line", {"id": "c", "title": "failed"}) == "line"
