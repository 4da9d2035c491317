"""opsroom/sbom and opsroom/scan-dependencies: bills written and read, advisories matched, what was not checked said."""

from __future__ import annotations

import json
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from security_room import Room

from opsroom.areas.security.advisories import is_affected, read_advisory
from opsroom.areas.security.cvss import base_score
from opsroom.areas.security.ecosystems import known_as
from opsroom.areas.security.operations import list_findings, list_scans
from opsroom.areas.security.sbom import read_bill
from opsroom.contracts.actions import ActionFailed
from opsroom.contracts.plane import Call
from opsroom.kernel.actors import Actor
from opsroom.kernel.errors import Invalid


def call(room: Room) -> Call:
    return Call(plane=room.plane, actor=Actor.run("run_1"))


def osv(id: str, name: str, *events: dict[str, str], ecosystem: str = "PyPI", **more: Any) -> dict[str, Any]:
    return {
        "id": id, "summary": f"weakness {id}", "modified": "2026-01-01T00:00:00Z",
        "affected": [{"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}],
        **more,
    }  # fmt: skip


REQUIREMENTS = """
--index-url https://pypi.org/simple
flask[async]==2.0.1 ; python_version > "3.8" \\
    --hash=sha256:00
Django_Thing == 1.0  # comment
requests>=2  # not pinned
-e ./own
./wheel.whl
"""
UV_LOCK = """
version = 1
[[package]]
name = "shop"
version = "0.1"
source = { editable = "." }
[[package]]
name = "requests"
version = "2.31.0"
source = { registry = "https://pypi.org/simple" }
"""


def test_a_bill_lists_what_files_pin_and_the_runtime(room: Room) -> None:
    room.write({"requirements.txt": REQUIREMENTS, "uv.lock": UV_LOCK, "requirements-dev.txt": "pytest\n"})
    told = room.use("sbom", name="storefront", commit="0123456789abcdef")
    assert told is not None and told["path"] == "sbom.cdx.json"
    value = json.loads((room.folder / "sbom.cdx.json").read_text())
    assert (
        value["specVersion"] == "1.6"
        and value["metadata"]["component"]["purl"] == "pkg:generic/storefront@0123456789ab"
    )
    purls = {one["purl"] for one in value["components"]}
    python = next(one for one in purls if one.startswith("pkg:generic/python@3."))
    assert purls - {python} == {
        "pkg:pypi/flask@2.0.1", "pkg:pypi/django-thing@1.0", "pkg:pypi/requests@2.31.0", "pkg:pypi/pytest"
    }  # fmt: skip
    first = (room.folder / "sbom.cdx.json").read_bytes()
    room.use("sbom", name="storefront", commit="0123456789abcdef")
    assert (room.folder / "sbom.cdx.json").read_bytes() == first


def test_a_service_of_the_standard_library_alone_is_itself_and_python(room: Room) -> None:
    room.write({"app.py": "print()\n"})
    assert room.use("sbom", name="inventory", output="out.json") == {"path": "out.json", "components": "1"}
    assert [one.name for one in read_bill((room.folder / "out.json").read_bytes(), "out.json").components] == ["python"]


def test_a_file_that_cannot_be_read_is_a_gap_of_the_bill(room: Room) -> None:
    room.write({"poetry.lock": "not [toml", "requirements.txt": "flask==1.0\n"})
    room.use("sbom", name="x")
    room.advisories("PyPI")
    room.advisories("Bitnami")
    told = room.use("scan-dependencies", sbom="sbom.cdx.json")
    assert told is not None and told["verdict"] == "not checked"
    assert any("poetry.lock" in line for line in room.port.lines)


def test_the_bill_never_leaves_the_workspace(room: Room) -> None:
    target = room.folder.parent / "target"
    target.write_text("untouched")
    (room.folder / "sbom.cdx.json").symlink_to(target)
    room.use("sbom", name="x")
    assert target.read_text() == "untouched" and not (room.folder / "sbom.cdx.json").is_symlink()
    (room.folder / "up").symlink_to(room.folder.parent)
    for output in ("../out.json", "/tmp/out.json", "up/out.json", ""):
        with pytest.raises(ActionFailed):
            room.use("sbom", name="x", output=output)


def test_without_advisory_data_the_verdict_is_not_checked(room: Room) -> None:
    room.write({"requirements.txt": "flask==2.0.1\n"})
    room.use("sbom", name="x")
    assert room.use("scan-dependencies", sbom="sbom.cdx.json") == {
        "verdict": "not checked",
        "findings": "0",
        "new": "0",
    }
    (event,) = room.events("scan.finished")
    assert event.data["checked"] == [] and event.data["verdict"] == "not checked"
    whys = " ".join(one["why"] for one in event.data["unchecked"])
    assert "osv-scanner/PyPI/all.zip" in whys and "osv-scanner/Bitnami/all.zip" in whys


def test_advisories_match_and_a_fix_closes(room: Room) -> None:
    room.advisories(
        "PyPI",
        osv("GHSA-aaaa", "Flask", {"introduced": "0"}, {"fixed": "2.0.2"}, aliases=["CVE-2026-1"], database_specific={"severity": "MODERATE"}),
        osv("PYSEC-1", "flask", {"introduced": "1.0"}, {"fixed": "2.0.2"}, aliases=["CVE-2026-1"],
            severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]),
        osv("GHSA-gone", "flask", {"introduced": "0"}, withdrawn="2026-01-02T00:00:00Z"),
        osv("GHSA-else", "flask", {"introduced": "0"}, ecosystem="npm"),
    )  # fmt: skip
    room.advisories("Bitnami")
    room.write({"requirements.txt": "flask==2.0.1\n"})
    room.use("sbom", name="x")
    with pytest.raises(ActionFailed, match="1 new finding by the scan of dependencies"):
        room.use("scan-dependencies", sbom="sbom.cdx.json")
    (finding,) = list_findings(call(room)).items
    assert (finding.severity, finding.rule, finding.fix) == ("critical", "PYSEC-1", "update to 2.0.2")
    room.write({"requirements.txt": "flask==2.0.2\n"})
    room.use("sbom", name="x")
    assert room.use("scan-dependencies", sbom="sbom.cdx.json", commit="c2") == {
        "verdict": "clean",
        "findings": "0",
        "new": "0",
    }
    assert list_findings(call(room)).items[0].state == "closed"
    assert [event.subject("finding") for event in room.events("finding.closed")] == [finding.id]


def test_an_alias_that_comes_later_is_the_same_finding(room: Room) -> None:
    room.advisories("Bitnami")
    room.advisories("PyPI", osv("GHSA-aaaa", "flask", {"introduced": "0"}))
    room.write({"requirements.txt": "flask==2.0.1\n"})
    room.use("sbom", name="x")
    room.use("scan-dependencies", sbom="sbom.cdx.json", fail_on="none")
    room.advisories("PyPI", osv("GHSA-aaaa", "flask", {"introduced": "0"}, aliases=["CVE-2026-1"]))
    assert room.use("scan-dependencies", sbom="sbom.cdx.json") == {"verdict": "findings", "findings": "1", "new": "0"}
    assert len(list_findings(call(room)).items) == 1


def test_data_that_is_gone_closes_nothing(room: Room) -> None:
    archive = room.advisories("PyPI", osv("GHSA-aaaa", "flask", {"introduced": "0"}))
    room.advisories("Bitnami")
    room.write({"requirements.txt": "flask==2.0.1\n"})
    room.use("sbom", name="x")
    room.use("scan-dependencies", sbom="sbom.cdx.json", fail_on="none")
    room.write({"requirements.txt": "flask==9\n"})
    room.use("sbom", name="x")
    for broken in (b"no zip", None):
        archive.write_bytes(broken) if broken else archive.unlink()
        room.use("scan-dependencies", sbom="sbom.cdx.json", fail_on="none")
        assert list_findings(call(room)).items[0].state == "open"
        assert list_scans(call(room)).items[0].verdict == "not checked"


def test_a_record_that_is_broken_is_unchecked_and_the_rest_goes_on(room: Room) -> None:
    room.advisories("Bitnami")
    room.advisories(
        "PyPI", osv("GHSA-bad", "flask", {"introduced": "0"}, affected="none, name flask"),
        osv("GHSA-worse", "flask", {"introduced": "no version"}), osv("GHSA-good", "flask", {"introduced": "0"}),
    )  # fmt: skip
    with zipfile.ZipFile(room.plane.settings.state / "advisories/osv-scanner/PyPI/all.zip", "a") as archive:
        archive.writestr("GHSA-json.json", '{"name": "flask", nonsense')
    room.write({"requirements.txt": "flask==2.0.1\n"})
    room.use("sbom", name="x")
    room.use("scan-dependencies", sbom="sbom.cdx.json", fail_on="none")
    (scan,) = list_scans(call(room)).items
    assert scan.verdict == "findings"
    assert {"advisory:GHSA-json", "advisory:GHSA-worse"} <= {one.what for one in scan.unchecked}


@pytest.mark.parametrize(
    ("events", "version", "expected"),
    [
        ([{"introduced": "0"}], "0.0.1", True),
        ([{"introduced": "1.0"}, {"fixed": "1.2"}], "1.1", True),
        ([{"introduced": "1.0"}, {"fixed": "1.2"}], "1.2", False),
        ([{"introduced": "1.0"}, {"last_affected": "1.2"}], "1.2", True),
        ([{"introduced": "1.0"}, {"last_affected": "1.2"}], "1.2.1", False),
        ([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "2.0"}, {"fixed": "2.1"}], "1.5", False),
        ([{"fixed": "2.1"}, {"introduced": "2.0"}, {"fixed": "1.0"}, {"introduced": "0"}], "2.0.5", True),
        ([{"introduced": "0"}, {"limit": "1.0"}], "1.0", False),
        ([{"introduced": "1.0rc1"}, {"fixed": "1.0"}], "1.0rc2", True),
    ],
)  # fmt: skip
def test_ranges_read_as_the_schema_says(events: list[dict[str, str]], version: str, expected: bool) -> None:
    affected = {"ranges": [{"type": "ECOSYSTEM", "events": events}]}
    assert is_affected(affected, version, versions="PypiVersion") is expected
    assert is_affected({"versions": [version]}, version, versions="PypiVersion")
    assert not is_affected({"ranges": [{"type": "GIT", "events": events}]}, version, versions="PypiVersion")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "affected", "aliases", "severity", "database_specific", "ranges", "events"]), inner, max_size=4), max_leaves=12))  # fmt: skip
def test_any_json_is_read_or_refused(value: Any) -> None:
    try:
        read_advisory(value if isinstance(value, dict) else {"id": value})
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    try:
        read_bill(json.dumps({"bomFormat": "CycloneDX", "components": value}).encode(), "x")
    except Invalid:
        pass


@pytest.mark.parametrize(
    ("vector", "score"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8), ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
        ("CVSS:3.0/AV:L/AC:H/PR:L/UI:N/S:U/C:L/I:N/A:N", 2.5), ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
        ("CVSS:4.0/AV:N", None), ("high", None),
    ],
)  # fmt: skip
def test_cvss_scores_are_those_of_the_calculator(vector: str, score: float | None) -> None:
    assert base_score(vector) == score


@pytest.mark.parametrize(
    ("purl", "ecosystem", "name"),
    [
        ("pkg:pypi/Zope.Interface@1", "PyPI", "zope-interface"), ("pkg:npm/%40scope/name@1", "npm", "@scope/name"),
        ("pkg:maven/org.a/b@1", "Maven", "org.a:b"), ("pkg:golang/github.com/a/b@v1", "Go", "github.com/a/b"),
        ("pkg:deb/debian/curl@7?distro=debian-12.5", "Debian:12", "curl"),
        ("pkg:apk/alpine/busybox@1?distro=alpine-3.19.1", "Alpine:v3.19", "busybox"), ("pkg:generic/python@3.11.2", "Bitnami", "python"),
    ],
)  # fmt: skip
def test_packages_are_called_as_osv_calls_them(purl: str, ecosystem: str, name: str) -> None:
    from packageurl import PackageURL

    known = known_as(PackageURL.from_string(purl))
    assert known is not None and (known.ecosystem, known.name) == (ecosystem, name)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"bomFormat": "SPDX"}', '{"bomFormat": "CycloneDX", "components": [{}]}']
)
def test_what_is_no_bill_is_said(room: Room, content: str) -> None:
    room.write({"x.json": content})
    with pytest.raises(ActionFailed, match=r"x\.json"):
        room.use("scan-dependencies", sbom="x.json")
