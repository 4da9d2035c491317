"""Identity: who may do what and why, tokens, sign-in links and sessions."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.kernel import actors as identity
from opsroom.kernel.actors import (
    ROLES,
    VERBS,
    Actor,
    Actors,
    CatalogPerson,
    Grant,
    Limit,
    Resource,
    TooManyFailures,
    csrf_token,
    decide,
)
from opsroom.kernel.actors.tables import SESSIONS, TOKENS
from opsroom.kernel.clock import FakeClock
from opsroom.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.migrations import migrate
from opsroom.kernel.store import Store

ADMIN = "person:admin"
SHOP = Resource(kind="service", id="storefront", team="shop", environment="production")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def actors(store: Store, ledger: Ledger, clock: FakeClock, keys: Path) -> Actors:
    migrate(store, identity.MIGRATIONS)
    made = Actors(store, ledger, clock, keys=keys)
    assert made.first_start()
    return made


def person(actors: Actors, name: str, *groups: str) -> Actor:
    known = [
        CatalogPerson(name=one.subject, groups=one.groups) for one in actors.people.all() if one.issuer == "catalog"
    ]
    actors.sync_people([*known, CatalogPerson(name=name, groups=groups)], "system:catalog")
    return actors.people.actor(f"person:{name}")


def types(ledger: Ledger) -> list[str]:
    return [event.type for event in ledger.find(newest_first=False)]


def test_the_first_start_makes_one_admin_and_writes_their_token(actors: Actors, keys: Path, ledger: Ledger) -> None:
    file = keys / "admin-token"
    assert file.stat().st_mode & 0o777 == 0o600
    admin = actors.authenticate(token=file.read_text().strip())
    assert admin.id == ADMIN
    assert actors.may(admin, "admin", Resource(kind="anything")).allowed
    assert not actors.first_start()
    assert types(ledger) == ["person.added", "token.created", "role.granted"]


def test_a_first_start_that_was_cut_off_is_done_again(
    store: Store, ledger: Ledger, clock: FakeClock, keys: Path
) -> None:
    migrate(store, identity.MIGRATIONS)
    cut_off = Actors(store, ledger, clock, keys=keys)
    cut_off.people.add("admin", "system:first-start")
    cut_off.tokens.create(ADMIN, "first start", Actor.system("first-start"), days=None)
    assert Actors(store, ledger, clock, keys=keys).first_start()
    assert cut_off.authenticate(token=(keys / "admin-token").read_text().strip()).id == ADMIN


def test_only_the_hash_of_a_token_is_kept(actors: Actors, store: Store) -> None:
    _, text = actors.tokens.create(ADMIN, "ci", Actor.system("test"))
    with store.read() as tx:
        rows = [dict(row) for row in tx.rows(TOKENS.select())]
    assert text.startswith("ops_") and len(text) == 47
    assert text not in str(rows)


def test_roles_are_granted_to_people_and_groups_within_team_and_environment(actors: Actors) -> None:
    maria = person(actors, "maria", "shop")
    assert not actors.may(maria, "read", SHOP).allowed
    grant = actors.people.grant("group:shop", "operator", ADMIN, team="shop", environment="production")
    decision = actors.may(maria, "operate", SHOP)
    assert decision.allowed and grant.id in decision.reason and decision.because == (grant,)
    assert not actors.may(maria, "approve", SHOP).allowed
    assert not actors.may(maria, "operate", Resource(kind="service", team="shop", environment="staging")).allowed
    assert not actors.may(maria, "operate", Resource(kind="service", environment="production")).allowed


def test_a_refusal_says_what_is_missing_and_who_can_give_it(actors: Actors) -> None:
    maria = person(actors, "maria")
    actors.people.grant(maria.id, "viewer", ADMIN)
    with pytest.raises(Forbidden) as refused:
        actors.require(maria, "approve", SHOP)
    reason = str(refused.value)
    assert "approve on service storefront (team shop, environment production) needs approver" in reason
    assert "viewer to person:maria on every team, every environment" in reason
    assert "person:admin can grant it" in reason


def test_a_grant_ends_by_hand_and_by_time(actors: Actors, clock: FakeClock, ledger: Ledger) -> None:
    maria = person(actors, "maria")
    brief = actors.people.grant(maria.id, "operator", ADMIN, expires=clock.now() + timedelta(hours=1))
    lasting = actors.people.grant(maria.id, "viewer", ADMIN)
    assert actors.may(maria, "operate", SHOP).allowed
    clock.advance(3600)
    assert not actors.may(maria, "operate", SHOP).allowed
    assert actors.may(maria, "read", SHOP).allowed
    actors.people.end_grant(lasting.id, ADMIN)
    assert not actors.may(maria, "read", SHOP).allowed
    assert {grant.id for grant in actors.people.grants(holder=maria.id, ended=True)} == {brief.id, lasting.id}
    assert types(ledger)[-1] == "role.ended"
    with pytest.raises(NotFound):
        actors.people.end_grant(lasting.id, ADMIN)


def test_the_last_admin_stays(actors: Actors) -> None:
    [only] = actors.people.grants(holder=ADMIN)
    with pytest.raises(Conflict, match="last admin"):
        actors.people.end_grant(only.id, ADMIN)
    person(actors, "anna")
    actors.people.grant("person:anna", "admin", ADMIN)
    actors.people.end_grant(only.id, ADMIN)


@pytest.mark.parametrize(
    ("holder", "role", "error"),
    [("maria", "viewer", Invalid), ("group:shop", "owner", Invalid), ("person:nobody", "viewer", NotFound)],
)
def test_a_bad_grant_is_refused(actors: Actors, holder: str, role: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        actors.people.grant(holder, role, ADMIN)


def test_the_same_grant_twice_is_a_conflict(actors: Actors) -> None:
    actors.people.grant("group:shop", "viewer", ADMIN, team="shop")
    with pytest.raises(Conflict, match="already"):
        actors.people.grant("group:shop", "viewer", ADMIN, team="shop")


def test_who_leaves_the_catalog_loses_everything_and_may_return(actors: Actors, ledger: Ledger) -> None:
    maria = person(actors, "maria", "shop")
    _, token = actors.tokens.create(maria.id, "laptop", maria)
    session = actors.redeem(actors.sign_in.make_link(maria.id, maria).text)
    actors.sync_people([], "system:catalog")
    for proof in ({"token": token}, {"session": session.text}):
        with pytest.raises(Unauthenticated):
            actors.authenticate(**proof)
    assert actors.people.get(maria.id).groups == ()
    assert actors.people.get(ADMIN).left_at is None
    actors.sync_people([CatalogPerson(name="maria", groups=("shop",))], "system:catalog")
    assert actors.authenticate(token=token).id == maria.id
    assert types(ledger).count("person.added") == 3 and "person.left" in types(ledger)


def test_syncing_the_same_people_again_records_nothing(actors: Actors, ledger: Ledger) -> None:
    people = [CatalogPerson(name="maria", title="Maria", groups=("shop", "ops"))]
    actors.sync_people(people, "system:catalog")
    before = types(ledger)
    actors.sync_people(people, "system:catalog")
    assert types(ledger) == before


def test_tokens_expire_and_are_revoked(actors: Actors, clock: FakeClock, ledger: Ledger) -> None:
    system = Actor.system("test")
    _, brief = actors.tokens.create(ADMIN, "brief", system, days=1)
    made, lasting = actors.tokens.create(ADMIN, "lasting", system, days=2)
    clock.advance(timedelta(days=1))
    with pytest.raises(Unauthenticated, match="'brief' expired on"):
        actors.authenticate(token=brief)
    actors.authenticate(token=lasting)
    assert actors.tokens.get(made.id).last_used == clock.now()
    actors.tokens.revoke(made.id, ADMIN)
    with pytest.raises(Unauthenticated, match="revoked"):
        actors.authenticate(token=lasting)
    with pytest.raises(Conflict):
        actors.tokens.revoke(made.id, ADMIN)
    assert types(ledger)[-1] == "token.revoked"


def test_a_limited_token_does_less_than_its_person_and_makes_no_wider_one(actors: Actors) -> None:
    admin = actors.people.actor(ADMIN)
    _, text = actors.tokens.create(ADMIN, "reader", admin, limit=Limit(role="viewer", environment="production"))
    reader = actors.authenticate(token=text)
    assert actors.may(reader, "read", SHOP).allowed
    assert "limited to viewer" in actors.may(reader, "operate", SHOP).reason
    assert not actors.may(reader, "read", Resource(kind="service", environment="staging")).allowed
    for limit in (Limit(), Limit(role="viewer"), Limit(role="operator", environment="production")):
        with pytest.raises(Forbidden, match="cannot make one"):
            actors.tokens.create(ADMIN, "wider", reader, limit=limit)
    actors.tokens.create(ADMIN, "same", reader, limit=Limit(role="viewer", team="shop", environment="production"))
    with pytest.raises(Forbidden, match="session"):
        actors.sign_in.make_link(ADMIN, reader)


@pytest.mark.parametrize("days", [0, -1, 367])
def test_a_token_lives_a_year_at_most(actors: Actors, days: int) -> None:
    with pytest.raises(Invalid, match="days"):
        actors.tokens.create(ADMIN, "ci", Actor.system("test"), days=days)


def test_a_sign_in_link_works_once_within_its_time(actors: Actors, clock: FakeClock, store: Store) -> None:
    admin = actors.people.actor(ADMIN)
    link, late = actors.sign_in.make_link(ADMIN, admin), actors.sign_in.make_link(ADMIN, admin)
    session = actors.redeem(link.text)
    assert actors.authenticate(session=session.text).id == ADMIN
    assert session.csrf == csrf_token(session.text) != csrf_token(link.text)
    with pytest.raises(Unauthenticated, match="used or has expired"):
        actors.redeem(link.text)
    clock.advance(15 * 60)
    with pytest.raises(Unauthenticated):
        actors.redeem(late.text)
    with store.read() as tx:
        assert session.text not in str([dict(row) for row in tx.rows(SESSIONS.select())])


def test_sessions_end_by_signing_out_by_an_admin_and_by_time(actors: Actors, clock: FakeClock, ledger: Ledger) -> None:
    admin = actors.people.actor(ADMIN)
    first, second, third = (actors.redeem(actors.sign_in.make_link(ADMIN, admin).text) for _ in range(3))
    actors.sign_in.end(first.text)
    actors.sign_in.end(first.text)
    with pytest.raises(Unauthenticated):
        actors.authenticate(session=first.text)
    assert types(ledger).count("session.ended") == 1
    assert actors.sign_in.end_all(ADMIN, ADMIN) == 2
    with pytest.raises(Unauthenticated):
        actors.authenticate(session=second.text)
    fourth = actors.redeem(actors.sign_in.make_link(ADMIN, admin).text)
    clock.advance(timedelta(hours=12))
    with pytest.raises(Unauthenticated):
        actors.authenticate(session=fourth.text)
    assert third.text != fourth.text


def test_failed_sign_ins_are_limited_by_address_and_valid_ones_pass(
    actors: Actors, keys: Path, clock: FakeClock
) -> None:
    for _ in range(20):
        with pytest.raises(Unauthenticated):
            actors.authenticate(token="ops_guess", address="10.0.0.9")
    with pytest.raises(TooManyFailures, match=r"10\.0\.0\.9"):
        actors.redeem("guess", "10.0.0.9")
    with pytest.raises(Unauthenticated):
        actors.authenticate(token="ops_guess", address="10.0.0.10")
    assert actors.authenticate(token=(keys / "admin-token").read_text().strip(), address="10.0.0.9").id == ADMIN
    clock.advance(61)
    with pytest.raises(Unauthenticated):
        actors.authenticate(token="ops_guess", address="10.0.0.9")


def test_nobody_is_nobody(actors: Actors) -> None:
    with pytest.raises(Unauthenticated, match="Bearer"):
        actors.authenticate()


def test_everyone_manages_their_own_but_nobody_elses(actors: Actors) -> None:
    maria = person(actors, "maria")
    assert actors.may(maria, "operate", Resource(kind="person", id=maria.id)).allowed
    assert not actors.may(maria, "operate", Resource(kind="person", id=ADMIN)).allowed
    assert not actors.may(maria, "admin", Resource(kind="person", id=maria.id)).allowed


def test_system_parts_and_runs_have_roles_by_what_they_are() -> None:
    assert decide(Actor.system("scheduler"), "admin", SHOP, ()).allowed
    assert decide(Actor.run("run_1"), "operate", SHOP, ()).allowed
    assert not decide(Actor.run("run_1"), "approve", SHOP, ()).allowed
    assert not decide(Actor.runner("here"), "read", SHOP, ()).allowed


names = st.sampled_from(["", "shop", "ops"])
places = st.sampled_from(["", "production", "staging"])


@given(
    needs=st.sampled_from(VERBS),
    held=st.lists(st.tuples(st.sampled_from(ROLES), names, places), max_size=3),
    limit=st.tuples(st.sampled_from(["", *ROLES]), names, places),
    team=names,
    environment=places,
)
def test_a_decision_is_what_grants_and_limit_say(
    needs: identity.Needs, held: list[tuple[str, str, str]], limit: tuple[str, str, str], team: str, environment: str
) -> None:
    """The rule said a second way: some grant, and the limit as if it were one, each reach the verb and the place."""
    grants = [
        Grant(id=f"g{at}", holder="person:maria", role=role, team=one, environment=two)
        for at, (role, one, two) in enumerate(held)
    ]
    maria = Actor(id="person:maria", name="m", limit=Limit(role=limit[0], team=limit[1], environment=limit[2]))
    resource = Resource(kind="service", team=team, environment=environment)

    def reaches(role: str, one: str, two: str) -> bool:
        strong = not role or ROLES.index(role) >= VERBS.index(needs)  # type: ignore[arg-type]
        return strong and (not one or one == team) and (not two or two == environment)

    decision = decide(maria, needs, resource, grants)
    assert decision.allowed == (reaches(*limit) and any(reaches(*one) for one in held))
    assert decision.reason and "\n" not in decision.reason and decision.because == tuple(grants)
