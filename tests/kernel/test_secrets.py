"""Secrets: encrypted at rest, read with an event, and seen in no output in any encoding."""

from __future__ import annotations

import base64
import html
import io
import json
import shlex
import urllib.parse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.kernel import secrets as vault
from opsroom.kernel.clock import FakeClock
from opsroom.kernel.errors import Forbidden, Invalid, NotFound, Unavailable
from opsroom.kernel.journal import Journal
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.migrations import migrate
from opsroom.kernel.redaction import MASK, Redactor
from opsroom.kernel.secrets import Secrets
from opsroom.kernel.store import Store

MARIA = "person:maria"
VALUE = "s3cr3t/with+\"quotes\" & 'more' ünïcode"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def opened(store: Store, clock: FakeClock, keys: Path, **more: object) -> tuple[Secrets, Ledger]:
    migrate(store, vault.MIGRATIONS)
    redactor = Redactor()
    ledger = Ledger(store, clock, redact=redactor.redact)
    return Secrets(store, ledger, clock, redactor, keys=keys, **more), ledger  # type: ignore[arg-type]


def everything(store: Store) -> str:
    with store.read() as tx:
        return "\n".join(str(dict(row)) for name in ("secrets", "events") for row in tx.rows(f"SELECT * FROM {name}"))


def test_a_secret_is_kept_encrypted_and_each_read_is_an_event(store: Store, clock: FakeClock, keys: Path) -> None:
    secrets, ledger = opened(store, clock, keys)
    secrets.set("API_TOKEN", VALUE, MARIA)
    cause = ledger.find()[0].id
    assert secrets.resolve("secret:API_TOKEN", "run:run_1", cause, purpose="step deploy") == VALUE
    read = ledger.find(types=("secret.read",))[0]
    assert (read.actor, read.cause, read.subject("secret")) == ("run:run_1", cause, "API_TOKEN")
    assert read.data["purpose"] == "step deploy"
    [known] = secrets.all()
    assert (known.set_by, known.read_at, known.key) == (MARIA, clock.now(), secrets.keyring.current)
    assert VALUE not in everything(store)
    secrets.delete("API_TOKEN", MARIA)
    assert [event.type for event in ledger.find()] == ["secret.deleted", "secret.read", "secret.set"]
    with pytest.raises(NotFound, match="opsroom secrets set API_TOKEN"):
        secrets.resolve("secret:API_TOKEN", MARIA)


def test_reading_inside_a_write_transaction_commits_with_it(store: Store, clock: FakeClock, keys: Path) -> None:
    secrets, ledger = opened(store, clock, keys)
    secrets.set("API_TOKEN", VALUE, MARIA)
    with pytest.raises(ZeroDivisionError), store.begin() as tx:
        assert secrets.resolve("secret:API_TOKEN", MARIA, tx=tx) == VALUE
        raise ZeroDivisionError
    assert not ledger.find(types=("secret.read",))


def test_the_master_key_is_private_and_made_once(store: Store, clock: FakeClock, keys: Path) -> None:
    secrets, _ = opened(store, clock, keys)
    file = keys / "master-key"
    assert file.stat().st_mode & 0o777 == 0o600 and keys.stat().st_mode & 0o777 == 0o700
    secrets.set("API_TOKEN", VALUE, MARIA)
    again, _ = opened(store, clock, keys)
    assert again.resolve("secret:API_TOKEN", MARIA) == VALUE


def test_a_missing_master_key_is_a_clear_error_and_no_new_one_is_made(
    store: Store, clock: FakeClock, keys: Path
) -> None:
    secrets, _ = opened(store, clock, keys)
    secrets.set("API_TOKEN", VALUE, MARIA)
    (keys / "master-key").unlink()
    with pytest.raises(Unavailable, match=r"master-key is missing.*put that file back"):
        opened(store, clock, keys)
    assert not (keys / "master-key").exists()


def test_another_master_key_is_a_clear_error(store: Store, clock: FakeClock, keys: Path, tmp_path: Path) -> None:
    secrets, _ = opened(store, clock, keys)
    secrets.set("API_TOKEN", VALUE, MARIA)
    secrets.keyring.path.write_text("k1 " + base64.b64encode(bytes(32)).decode() + " 2026\n")
    with pytest.raises(Unavailable, match="put that key's line back"):
        opened(store, clock, keys)


@pytest.mark.parametrize("text", ["", "k1 short 2026\n", "rubbish\n"])
def test_a_broken_key_file_is_a_clear_error(store: Store, clock: FakeClock, keys: Path, text: str) -> None:
    keys.mkdir(mode=0o700)
    (keys / "master-key").touch(mode=0o600)
    (keys / "master-key").write_text(text)
    with pytest.raises(Invalid, match="master-key"):
        opened(store, clock, keys)


def test_keys_that_others_can_read_or_that_lie_in_the_state_are_refused(
    store: Store, clock: FakeClock, keys: Path, tmp_path: Path
) -> None:
    with pytest.raises(Invalid, match="inside the state"):
        opened(store, clock, keys, state=tmp_path)
    opened(store, clock, keys)
    (keys / "master-key").chmod(0o640)
    with pytest.raises(Invalid, match="chmod 600"):
        opened(store, clock, keys)


def test_a_ciphertext_moved_to_another_name_or_changed_does_not_decrypt(
    store: Store, clock: FakeClock, keys: Path
) -> None:
    secrets, _ = opened(store, clock, keys)
    secrets.set("MINE", VALUE, MARIA)
    secrets.set("OTHER", "something else", MARIA)
    with store.begin() as tx:
        tx.execute(
            "UPDATE secrets SET ciphertext = (SELECT ciphertext FROM secrets WHERE name = 'MINE') WHERE name = 'OTHER'"
        )
    with pytest.raises(Invalid, match="'OTHER' was changed in the database"):
        secrets.resolve("secret:OTHER", MARIA)


def test_rotation_encrypts_anew_and_old_ciphertexts_stay_readable(store: Store, clock: FakeClock, keys: Path) -> None:
    secrets, ledger = opened(store, clock, keys)
    secrets.set("API_TOKEN", VALUE, MARIA)
    elsewhere, _ = opened(store, clock, keys)
    before = secrets.keyring.encrypt(b"old backup", "x")
    old = secrets.keyring.current
    assert secrets.rotate(MARIA) == 1
    assert secrets.all()[0].key == secrets.keyring.current != old
    assert secrets.keyring.decrypt(before, "x") == b"old backup"
    assert secrets.resolve("secret:API_TOKEN", MARIA) == VALUE
    assert elsewhere.resolve("secret:API_TOKEN", MARIA) == VALUE
    assert ledger.find(types=("secret.rotated",))[0].data == {"count": 1}
    fingerprint = secrets.keyring.fingerprint(b"x")
    assert opened(store, clock, keys)[0].keyring.fingerprint(b"x") == fingerprint


@pytest.mark.parametrize("name", ["", "1A", "with-dash", "a b", "x" * 101, "naïve"])
def test_a_bad_name_is_refused(store: Store, clock: FakeClock, keys: Path, name: str) -> None:
    with pytest.raises(Invalid, match="secret name"):
        opened(store, clock, keys)[0].set(name, VALUE, MARIA)


@pytest.mark.parametrize("value", ["", "abc", "  a  "])
def test_a_short_secret_is_refused_without_showing_it(store: Store, clock: FakeClock, keys: Path, value: str) -> None:
    with pytest.raises(Invalid, match="'PIN' has fewer than 4 characters") as refused:
        opened(store, clock, keys)[0].set("PIN", value, MARIA)
    assert not value.strip() or value not in str(refused.value).replace("characters", "")


def test_env_and_file_references_are_read_only_where_allowed(
    store: Store, clock: FakeClock, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = tmp_path / "mounted"
    allowed.mkdir()
    (allowed / "token").write_text("from-a-file\n")
    (tmp_path / "outside").write_text("not for you")
    (allowed / "link").symlink_to(tmp_path / "outside")
    monkeypatch.setenv("DEPLOY_KEY", "from-the-environment")
    secrets, ledger = opened(store, clock, keys, environment=("DEPLOY_KEY", "UNSET"), folders=(allowed,))
    assert secrets.resolve("env:DEPLOY_KEY", MARIA) == "from-the-environment"
    assert secrets.resolve(f"file:{allowed}/token", MARIA) == "from-a-file"
    assert len(ledger.find(types=("secret.read",))) == 2
    for reference in ("env:HOME", f"file:{tmp_path}/outside", f"file:{allowed}/link", f"file:{allowed}/../outside"):
        with pytest.raises(Forbidden, match="an admin can add"):
            secrets.resolve(reference, MARIA)
    for reference in ("env:UNSET", f"file:{allowed}/absent"):
        with pytest.raises(NotFound):
            secrets.resolve(reference, MARIA)
    with pytest.raises(Invalid, match="secret:NAME, env:NAME or file:PATH"):
        secrets.resolve("vault:X", MARIA)


def test_a_secret_pushed_through_every_output_is_seen_nowhere(store: Store, clock: FakeClock, keys: Path) -> None:
    secrets, ledger = opened(store, clock, keys)
    secrets.set("API_TOKEN", VALUE, MARIA)
    out = io.StringIO()
    journal = Journal(clock, redact=secrets.redact, out=out)
    journal.info(f"connecting with {VALUE}", header=f"Bearer {VALUE}", nested={"deep": [VALUE]})
    try:
        raise RuntimeError(f"refused: {VALUE}")
    except RuntimeError as bug:
        journal.error("failed", bug=bug)
    with store.begin() as tx:
        ledger.record(tx, "deployment.failed", actor=MARIA, data={"why": VALUE, VALUE: [{"log": f"x{VALUE}x"}]})
    for text in (out.getvalue(), everything(store), json.dumps(ledger.find()[0].cloudevent())):
        assert VALUE not in text and json.dumps(VALUE)[1:-1] not in text and repr(VALUE)[1:-1] not in text
        assert MASK in text


def test_values_set_before_this_process_are_hidden_too(store: Store, clock: FakeClock, keys: Path) -> None:
    opened(store, clock, keys)[0].set("API_TOKEN", VALUE, MARIA)
    assert opened(store, clock, keys)[0].redact(f"<{VALUE}>") == f"<{MASK}>"


def test_each_line_of_a_long_secret_is_hidden() -> None:
    redactor = Redactor()
    lines = ["-----BEGIN PRIVATE KEY-----", *("MC4CAQAwBQYDK2VwBCIEI" + "Qq" * at for at in range(2, 5)), "}"]
    redactor.add("\r\n".join(lines))
    assert redactor.redact("\n".join(lines)) == "\n".join([MASK] * 4 + ["}"])


def test_the_longest_of_overlapping_secrets_is_hidden() -> None:
    redactor = Redactor()
    for value in ("password", "password123", "pass" * 30, "pass" * 30 + "word"):
        redactor.add(value)
    assert redactor.redact("password1234 password12 passwor") == f"{MASK}4 {MASK}12 passwor"
    assert redactor.redact("pass" * 31) == f"{MASK}pass"
    assert redactor.redact("pass" * 30 + "word!") == f"{MASK}!"


def test_text_without_secrets_comes_back_untouched() -> None:
    redactor = Redactor()
    text = "nothing to see"
    assert redactor.redact(text) is text
    redactor.add("hunter2hunter2")
    assert redactor.redact(text) is text
    assert redactor.redact_data({"a": [1, None, True, "hunter2hunter2"]}) == {"a": [1, None, True, MASK]}


ENCODINGS = {
    "plain": lambda value, around: around + value + around,
    "json": lambda value, around: json.dumps({"k": around + value + around}),
    "json, not ascii": lambda value, around: json.dumps([value], ensure_ascii=False),
    "twice in json": lambda value, around: json.dumps({value: value}),
    "repr": lambda value, around: repr(value),
    "url": lambda value, around: f"https://h/?q={urllib.parse.quote(value, safe='')}&{around}",
    "url path": lambda value, around: urllib.parse.quote(value),
    "form": lambda value, around: urllib.parse.urlencode({"k": value}),
    "html": lambda value, around: f"<p title='{html.escape(value)}'>{html.escape(value, quote=False)}</p>",
    "shell": lambda value, around: "echo " + shlex.quote(value),
    "base64": lambda value, around: base64.b64encode(value.encode()).decode(),
    "base64 in the middle": lambda value, around: base64.b64encode((around + value + around).encode()).decode(),
    "urlsafe base64": lambda value, around: base64.urlsafe_b64encode((around + value).encode()).decode(),
    "hex": lambda value, around: value.encode().hex(),
}
values = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=8, max_size=80).filter(
    lambda value: len(value.strip()) == len(value) and len(set(value)) > 4 and "*" not in value
)


@given(value=values, around=st.text(st.sampled_from("abc:/_ "), max_size=4), name=st.sampled_from(sorted(ENCODINGS)))
def test_no_encoding_lets_a_secret_through(value: str, around: str, name: str) -> None:
    redactor = Redactor()
    redactor.add(value)
    written = ENCODINGS[name](value, around)
    shown = redactor.redact(written)
    assert MASK in shown, (name, written)
    assert value not in shown
    for decoded in _decodings(shown):
        assert value not in decoded, (name, shown)


def _decodings(shown: str) -> list[str]:
    found = [urllib.parse.unquote(shown), urllib.parse.unquote_plus(shown), html.unescape(shown)]
    for piece in shown.split(MASK):
        padded = piece + "=" * (-len(piece) % 4)
        for decode in (base64.b64decode, base64.urlsafe_b64decode):
            try:
                found.append(decode(padded).decode("utf-8", "replace"))
            except ValueError:
                continue
    return found
