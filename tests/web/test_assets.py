"""The build hook: what it pins, what it refuses, when it does nothing."""

from __future__ import annotations

import importlib.util
import io
import json
import tarfile
from pathlib import Path

import pytest

from opsroom.kernel.errors import Unavailable
from opsroom.surfaces.web import assets

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def hook():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_package_is_pinned_and_used(hook):
    packages = json.loads(hook.LOCK.read_text())
    assert {package["name"] for package in packages} == set(hook.FILES)
    assert all(package["integrity"].startswith("sha512-") and package["version"] for package in packages)
    assert all("LICENSE" in files for files in hook.FILES.values())


def test_what_the_server_needs_is_what_the_hook_fetches(hook):
    assert set(assets.VENDORED) <= set(hook._targets())


def test_a_matching_stamp_fetches_nothing(hook, tmp_path):
    vendor = tmp_path / "vendor"
    for name in hook._targets():
        (vendor / name).parent.mkdir(parents=True, exist_ok=True)
        (vendor / name).write_text("")
    (vendor / ".stamp").write_text(hook._stamp(json.loads(hook.LOCK.read_text())))
    assert hook.build(vendor) is False


def test_a_package_that_is_not_what_was_pinned_is_refused(hook, tmp_path):
    tarball = tmp_path / "uplot.tgz"
    tarball.write_bytes(b"something else")
    with pytest.raises(hook.FrontEndError, match="uplot 1.0 is not what frontend.lock.json pins"):
        hook._check(tarball, {"name": "uplot", "version": "1.0", "integrity": "sha512-AAAA"})


def test_the_sprite_holds_every_icon(hook):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for icon in hook.ICONS:
            text = b'<svg viewBox="0 0 24 24">\n  <path d="M1 1"/>\n</svg>'
            entry = tarfile.TarInfo(f"package/icons/{icon}.svg")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        sprite = hook._sprite(archive)
    assert sprite.count("<symbol") == len(set(hook.ICONS)) == len(hook.ICONS)
    assert '<symbol id="rocket" viewBox="0 0 24 24"><path d="M1 1"/></symbol>' in sprite


def test_a_server_without_the_files_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setattr(assets, "STATIC", tmp_path)
    with pytest.raises(Unavailable, match="run `python hatch_build.py`"):
        assets.check_assets()
