"""Whatever is edited, wherever it is cut off, whatever cannot be read: plans converge, and nothing unknown is destroyed."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from configuration_room import Room, build_room
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsroom.areas.configuration.adopted_yaml import as_resource
from opsroom.areas.configuration.applying import apply_plan
from opsroom.areas.configuration.disk import Disk
from opsroom.areas.configuration.planning import make_plan, store_plan
from opsroom.areas.configuration.wanted import target_of
from opsroom.kernel.clock import FakeClock
from opsroom.kernel.errors import UserError
from opsroom.kernel.plan import Plan

PATHS = ("motd", "etc/a.conf", "etc/b.conf", "etc/deep/er/c", "bin/run")
CONTENTS = st.sampled_from([b"", b"one\n", b"two\n", "übung\n".encode(), b"\0\1binary", b"a\n" * 3000])
MODES = st.sampled_from(["0644", "0600", "0755", "0640"])
FILES = st.dictionaries(st.sampled_from(PATHS), st.one_of(st.none(), st.tuples(CONTENTS, MODES)), max_size=5)
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_numbers = itertools.count()


class Killed(BaseException):
    """The process died here."""


class FailingDisk(Disk):
    """Does `calls` things and then no more: as a disk that refuses, or as a process that was killed."""

    def __init__(self, calls: int, error: type[BaseException], *, only: frozenset[str]) -> None:
        self._left = calls
        self._error = error
        self._only = only

    def _count(self, what: str) -> None:
        if what in self._only:
            self._left -= 1
            if self._left < 0:
                raise Killed if self._error is Killed else OSError(errno.EIO, "Input/output error")

    def open(self, path: str, flags: int, mode: int = 0o600, *, folder: int | None = None) -> int:
        self._count("open")
        return super().open(path, flags, mode, folder=folder)

    def read(self, descriptor: int, size: int) -> bytes:
        self._count("read")
        return super().read(descriptor, size)

    def write(self, descriptor: int, data: bytes) -> int:
        self._count("write")
        return super().write(descriptor, data[: max(1, len(data) // 2)])

    def set_mode(self, descriptor: int, mode: int) -> None:
        self._count("set_mode")
        super().set_mode(descriptor, mode)

    def flush(self, descriptor: int) -> None:
        self._count("flush")
        super().flush(descriptor)

    def rename(self, before: str, after: str, *, folder: int) -> None:
        self._count("rename")
        super().rename(before, after, folder=folder)

    def unlink(self, path: str, *, folder: int) -> None:
        self._count("unlink")
        super().unlink(path, folder=folder)

    def make_folder(self, path: str, *, folder: int) -> None:
        self._count("make_folder")
        super().make_folder(path, folder=folder)


WRITES = frozenset({"write", "set_mode", "flush", "rename", "unlink", "make_folder"})
READS = frozenset({"open", "read"})


@pytest.fixture(scope="module")
def shared() -> Iterator[Room]:
    with TemporaryDirectory() as folder:
        made = build_room(Path(folder), FakeClock())
        yield made
        made.plane.store.close()


@contextmanager
def example(room: Room, wanted: dict[str, Any], actual: dict[str, Any]) -> Iterator[str]:
    """A host of its own with these files wanted and these there; gives its name."""
    name = f"h{next(_numbers)}"
    host = room.folder.parent / "hosts" / name
    room.folder = host
    for path, file in actual.items():
        if file is not None:
            room.put(path, file[0], int(file[1], 8))
    files: dict[str, str | bytes] = {
        "opsroom/h.yaml": f"apiVersion: opsroom.dev/v1\nkind: Host\nmetadata: {{name: {name}}}\nspec: {{address: local, folder: hosts/{name}}}\n"
    }
    for number, (path, file) in enumerate(wanted.items()):
        files[f"opsroom/f{number}.yaml"] = _resource(f"f{number}", name, path, file, number, files)
    room.offer(files)
    yield name
    room.folder = room.folder.parent.parent / "host"


def _resource(name: str, host: str, path: str, file: Any, number: int, files: dict[str, str | bytes]) -> str:
    if file is None:
        return str(as_resource(name, host, path, "0644", source="x")).replace("  source: x\n", "  state: absent\n")
    files[f"files/{number}"] = file[0]
    return str(as_resource(name, host, path, file[1], source=f"files/{number}"))


def plan(room: Room, name: str) -> Plan:
    return make_plan(room.plane, target_of(room.plane, name))


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode & 0o7777)
        for path in folder.rglob("*")
        if path.is_file()
    }


@QUICK
@given(wanted=FILES, actual=FILES)
def test_the_plan_after_an_apply_is_empty(shared: Room, wanted: dict[str, Any], actual: dict[str, Any]) -> None:
    with example(shared, wanted, actual) as name:
        stored = store_plan(shared.plane, plan(shared, name), actor="person:maria")
        apply_plan(shared.plane, stored.id, stored.digest, actor="person:maria")
        assert plan(shared, name).empty
        there = contents(shared.folder)
        for path in PATHS:
            expected = wanted.get(path, actual.get(path))
            assert there.get(path) == (None if expected is None else (expected[0], int(expected[1], 8)))
        assert set(there) <= set(PATHS)


@QUICK
@given(wanted=FILES, actual=FILES, cut=st.integers(0, 30), error=st.sampled_from([OSError, Killed]))
def test_an_apply_cut_off_anywhere_goes_on(
    shared: Room, wanted: dict[str, Any], actual: dict[str, Any], cut: int, error: type[BaseException]
) -> None:
    with example(shared, wanted, actual) as name:
        stored = store_plan(shared.plane, plan(shared, name), actor="person:maria")
        whole = {path: file and (file[0], int(file[1], 8)) for path, file in {**actual, **wanted}.items()}
        try:
            apply_plan(shared.plane, stored.id, stored.digest, actor="p", disk=FailingDisk(cut, error, only=WRITES))
        except (UserError, Killed):
            for path, found in contents(shared.folder).items():
                before = actual.get(path)
                either = (whole.get(path), before and (before[0], int(before[1], 8)))
                assert found in either or Path(path).name.startswith(".opsroom-new-"), (
                    "a file is the old or the new one"
                )
        apply_plan(shared.plane, stored.id, stored.digest, actor="person:maria")
        assert plan(shared, name).empty
        assert not [path for path in contents(shared.folder) if ".opsroom-new-" in path]
        applied = shared.plane.ledger.find(types=("configuration.applied",), subjects=(f"plan:{stored.id}",))
        assert sorted(event.data["path"] for event in applied) == sorted(change.name for change in stored.plan.changes)


@QUICK
@given(wanted=FILES, actual=FILES, cut=st.integers(0, 30))
def test_what_cannot_be_read_is_never_destroyed(
    shared: Room, wanted: dict[str, Any], actual: dict[str, Any], cut: int
) -> None:
    with example(shared, wanted, actual) as name:
        before = contents(shared.folder)
        target = target_of(shared.plane, name)
        broken = make_plan(shared.plane, target, disk=FailingDisk(cut, OSError, only=READS))
        honest = {change.name: change for change in make_plan(shared.plane, target).changes}
        assert set(broken.unknown) <= set(wanted)
        assert all(honest.get(change.name) == change for change in broken.changes), (
            "a plan made half blind plans nothing else"
        )
        assert not {change.name for change in broken.changes} & set(broken.unknown)
        assert contents(shared.folder) == before


@pytest.mark.slow
@settings(QUICK, max_examples=10)
@given(
    actual=st.dictionaries(st.sampled_from(PATHS), st.tuples(st.text(max_size=30).map(str.encode), MODES), min_size=1)
)
def test_the_plan_after_an_adoption_is_empty(actual: dict[str, Any]) -> None:
    from opsroom.areas.configuration import operations as o
    from opsroom.kernel.errors import Invalid

    with TemporaryDirectory() as folder:
        room = build_room(Path(folder), FakeClock())
        for path, file in actual.items():
            room.put(path, file[0], int(file[1], 8))
        room.push(
            {
                "opsroom/h.yaml": "apiVersion: opsroom.dev/v1\nkind: Host\nmetadata: {name: here}\nspec: {address: local, folder: host}\n"
            }
        )
        room.take_in_force()
        try:
            done = o.adopt_configurations(room.call, target="here", paths=sorted(actual))
        except Invalid:
            assert all(file[1][-1] == "0" or b"\0" in file[0] for file in actual.values())
        else:
            assert {file.path for file in done.files} | set(done.refused) == set(actual)
            room.take_in_force()
            assert make_plan(room.plane, target_of(room.plane, "here")).to_json()["changes"] == ()
        room.plane.store.close()
