"""Runs are priced by the list they began under, sums are exact, budgets are told once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from area_plane import AreaPlane
from opsroom.areas.cost.operations import list_budgets, list_costs, list_prices, summarise_costs
from opsroom.areas.cost.pricing import Price, cost_of, period_end, period_start, reached
from opsroom.contracts.facts import RunCost, ServiceCost
from opsroom.kernel.errors import NotFound

PRICES = """\
apiVersion: opsroom.dev/v1
kind: PriceList
metadata: {name: own}
spec: {version: "%s", currency: EUR, cpuSecond: "%s", run: "0.01"}
"""
BUDGET = """\
apiVersion: opsroom.dev/v1
kind: Budget
metadata: {name: %s}
spec: {of: "%s", amount: "%s", currency: EUR, period: day, warnAt: [0.5, 1.0], channels: [mail]}
"""
MAIL = """\
apiVersion: opsroom.dev/v1
kind: NotificationChannel
metadata: {name: mail}
spec: {type: smtp, server: "mail.example.com:25", sender: opsroom@example.com, to: [boss@example.com]}
"""


@dataclass
class Runs:
    """Stands for the engine: the runs that tests finish."""

    room: AreaPlane
    known: dict[str, Any] = field(default_factory=dict)

    def get(self, run: str) -> Any:
        if run not in self.known:
            raise NotFound(f"run {run!r} does not exist")
        return SimpleNamespace(run=self.known[run])

    def finish(self, run: str, cpu: float, *, service: str = "storefront", version: str = "1", cause: str = "") -> None:
        now = self.room.plane.clock.now()
        self.known[run] = SimpleNamespace(
            service=service, repository=service or "ops", workflow=".opsroom/workflows/pipeline.yml", finished=now,
            cpu_seconds=cpu, price_version=version,
        )  # fmt: skip
        subjects = [f"run:{run}", *([f"service:{service}"] if service else [])]
        self.room.record("run.finished", *subjects, cause=cause, conclusion="success")
        self.room.settle()


@pytest.fixture
def runs(room: AreaPlane) -> Runs:
    made = Runs(room)
    room.plane.engine = cast(Any, made)
    return made


CPU = st.floats(0, 100_000, allow_nan=False)
PRICE = st.integers(0, 10_000_000)


@given(CPU, PRICE, PRICE)
def test_a_price_is_the_exact_product_rounded_once(cpu: float, second: int, fixed: int) -> None:
    price = Price(version="1", currency="EUR", cpu_second=second, run=fixed)
    exact = Decimal(round(cpu * 1000)) / 1000 * second + fixed
    assert abs(cost_of(cpu, price) - exact) <= Decimal("0.5")


def test_halves_are_rounded_to_even() -> None:
    price = Price(version="1", currency="EUR", cpu_second=1, run=0)
    assert [cost_of(seconds, price) for seconds in (0.5, 1.5, 2.5, 0.499)] == [0, 2, 2, 0]


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(["day", "week", "month"]),
)
def test_periods_follow_each_other_without_a_gap(moment: datetime, period: str) -> None:
    start = period_start(moment, period)
    end = period_end(start, period)
    assert start <= moment < end
    assert period_start(end, period) == end
    assert period_start(end - timedelta(microseconds=1), period) == start


@given(st.integers(0, 10**12), st.integers(1, 10**12), st.lists(st.sampled_from([0.1, 0.7, 0.8, 1.0])))
def test_shares_are_compared_exactly(spent: int, amount: int, shares: list[float]) -> None:
    assert reached(spent, amount, shares) == [
        one for one in sorted(set(shares)) if Decimal(spent) >= Decimal(str(one)) * Decimal(amount)
    ]


def test_a_run_has_the_price_it_began_under(room: AreaPlane, runs: Runs) -> None:
    room.decide({"opsroom/cost.yaml": PRICES % ("1", "0.002")})
    room.decide({"opsroom/cost.yaml": PRICES % ("2", "0.004")})
    runs.finish("run_1", 10.0, version="1")
    runs.finish("run_2", 10.0, version="2")
    runs.finish("run_3", 10.0, version="")
    newest, oldest = list_costs(room.call).items
    assert (oldest.run, oldest.micros, oldest.price_version) == ("run_1", 30_000, "1")
    assert (newest.run, newest.micros, newest.price_version) == ("run_2", 50_000, "2")
    assert {one.version: one.cpu_second_micros for one in list_prices(room.call)} == {"1": 2000, "2": 4000}
    assert room.plane.ask(RunCost("run_3")).unknown


def test_prices_that_were_in_force_but_shortly_are_known_too(room: AreaPlane, runs: Runs) -> None:
    room.decide()
    room.plane.catalogs.on_change(lambda *_: None)
    # Two pushes before the reader of the first has come to it: the second is in force by then.
    first = _offer_unread(room, {"opsroom/cost.yaml": PRICES % ("1", "0.002")})
    _offer_unread(room, {"opsroom/cost.yaml": PRICES % ("2", "0.004")})
    assert room.plane.catalogs.current().commit != first
    room.settle()
    runs.finish("run_1", 1.0, version="1")
    assert list_costs(room.call).items[0].micros == 12_000


def _offer_unread(room: AreaPlane, files: dict[str, str]) -> str:
    settle, room.settle = room.settle, lambda: None  # type: ignore[method-assign]
    from opsroom.app.catalog import reload_on_push

    try:
        commit = room.decide(files)
    except AssertionError:
        pushed = room.events("change.pushed")[-1]
        reload_on_push(room.areas).handle(room.plane, pushed)
        commit = pushed.subject("commit")
    finally:
        room.settle = settle  # type: ignore[method-assign]
    return commit


def test_without_a_price_list_there_is_no_cost(room: AreaPlane, runs: Runs) -> None:
    room.decide()
    runs.finish("run_1", 10.0, version="")
    summary = summarise_costs(room.call)
    assert (summary.runs, summary.sum_micros, summary.currency, summary.services) == (0, 0, "", [])
    assert not room.events("run.priced")
    assert "no price list" in room.plane.ask(RunCost("run_1")).unknown
    assert room.plane.ask(ServiceCost("storefront")).value is None
    assert "opsroom/cost.yaml" in room.page("/costs")


def test_a_run_that_is_run_again_costs_all_its_attempts(room: AreaPlane, runs: Runs) -> None:
    room.decide({"opsroom/cost.yaml": PRICES % ("1", "0.002")})
    runs.finish("run_1", 10.0)
    runs.finish("run_1", 25.0)
    summary = summarise_costs(room.call)
    assert (summary.runs, summary.sum_micros) == (1, 60_000)
    assert len(room.events("run.priced")) == 2


def test_a_run_that_is_gone_holds_nothing_up(room: AreaPlane, runs: Runs) -> None:
    room.decide({"opsroom/cost.yaml": PRICES % ("1", "0.002")})
    room.record("run.finished", "run:run_0")
    runs.finish("run_1", 1.0)
    assert summarise_costs(room.call).runs == 1
    assert "cannot be priced" in room.journal.getvalue()


def test_parts_sum_to_the_whole_and_each_leads_to_its_event(room: AreaPlane, runs: Runs) -> None:
    room.decide({"opsroom/cost.yaml": PRICES % ("1", "0.000013")})
    pushed = room.push("storefront", "c" * 40)
    for number in range(40):
        runs.finish(
            f"run_{number:02}", number * 0.3337, service=["storefront", "inventory", ""][number % 3], cause=pushed.id
        )
    summary = summarise_costs(room.call)
    listed = list_costs(room.call, limit=100).items
    assert summary.runs == 40
    assert summary.sum_micros == summary.sum_of_parts_micros == sum(one.micros for one in listed)
    assert sum(part.micros for part in summary.workflows) == summary.sum_micros
    assert {part.name for part in summary.services} == {"storefront", "inventory", ""}
    answer = room.plane.ask(ServiceCost("storefront"))
    assert answer.value is not None
    assert answer.value.micros == sum(one.micros for one in listed if one.service == "storefront")
    assert room.plane.ledger.chain(listed[0].event)[-1].type == "change.pushed"
    page = list_costs(room.call, limit=15)
    assert [one.run for one in page.items + list_costs(room.call, after=page.next, limit=50).items] == [
        one.run for one in listed
    ]
    room.plane.clock.advance(1)  # type: ignore[attr-defined]
    shown = room.page("/costs")
    assert "no service" in shown and "40 runs" in shown
    assert "Cost" in room.page("/services")


def test_budgets_are_told_once_a_period_and_share(room: AreaPlane, runs: Runs, clock: Any) -> None:
    budgets = [
        BUDGET % (of.replace(":", "-"), of, "0.10") for of in ("component:storefront", "system:shop", "group:shop-team")
    ]
    room.decide({"opsroom/cost.yaml": PRICES % ("1", "0.01"), "opsroom/budgets.yaml": "---\n".join([*budgets, MAIL])})
    told = lambda: [(one.data["budget"], one.data["share"]) for one in room.events("budget.exceeded")]  # noqa: E731
    runs.finish("run_1", 3.0)
    assert told() == []
    runs.finish("run_2", 0.5)
    names = ["component-storefront", "group-shop-team", "system-shop"]
    assert told() == [(name, 0.5) for name in names]
    # The group owns inventory through the group below it; the system does not have it.
    runs.finish("run_3", 4.0, service="inventory")
    assert told()[3:] == [("group-shop-team", 1.0)]
    runs.finish("run_4", 50.0)
    runs.finish("run_5", 50.0)
    assert len(told()) == len(set(told())) == 6
    clock.advance(timedelta(days=1))
    runs.finish("run_6", 100.0)
    assert len(told()) == 12
    views = {one.name: one for one in list_budgets(room.call)}
    assert views["group-shop-team"].services == ["inventory", "storefront"]
    assert views["system-shop"].spent_micros == 1_010_000 and views["system-shop"].left_micros == -910_000
    assert "group-shop-team" in room.page("/costs")


def test_a_budget_of_yesterday_is_judged_by_yesterday(room: AreaPlane, runs: Runs, clock: Any) -> None:
    room.decide({"opsroom/cost.yaml": PRICES % ("1", "0.01"), "opsroom/budgets.yaml": BUDGET % ("b", "component:storefront", "1") + "---\n" + MAIL})  # fmt: skip
    runs.finish("run_1", 30.0)
    late = runs.known["run_1"].finished
    clock.advance(timedelta(days=1))
    runs.known["run_2"] = SimpleNamespace(**{**vars(runs.known["run_1"]), "finished": late})
    room.record("run.finished", "run:run_2", "service:storefront")
    room.settle()
    (event,) = room.events("budget.exceeded")
    assert event.data["spent_micros"] == 620_000


def test_a_budget_tells_its_channels(room: AreaPlane, runs: Runs) -> None:
    room.decide({"opsroom/cost.yaml": PRICES % ("1", "1"), "opsroom/budgets.yaml": BUDGET % ("b", "component:storefront", "1") + "---\n" + MAIL})  # fmt: skip
    runs.finish("run_1", 0.6)
    from opsroom.areas.collaboration.notifying import send_due

    send_due(room.plane)
    ((channel, message, _),) = room.mail.taken
    assert channel["name"] == "mail" and "b of component:storefront" in message.title


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.yaml": PRICES % ("1", "0.1"), "b.yaml": (PRICES % ("2", "0.1")).replace("own", "second")}, "a second PriceList"),
        ({"a.yaml": PRICES % ("1", "0.1"), "b.yaml": (BUDGET % ("b", "component:storefront", "1") + "---\n" + MAIL).replace("EUR", "USD")}, "write currency: EUR"),
        ({"a.yaml": (BUDGET % ("b", "component:storefront", "1") + "---\n" + MAIL).replace("0.5,", "50,")}, "warnAt"),
        ({"a.yaml": BUDGET % ("b", "component:nobody", "1") + "---\n" + MAIL}, "nobody"),
        ({"a.yaml": PRICES % ("1", "0.0000001")}, "at most six decimals"),
    ],
)  # fmt: skip
def test_malformed_prices_and_budgets_are_problems(room: AreaPlane, files: dict[str, str], words: str) -> None:
    found = room.problems({f"opsroom/{name}": text for name, text in files.items()})
    assert any(words in one for one in found), found
