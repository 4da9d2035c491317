"""The actions a runner carries out itself: trusted code outside the sandbox, confined to the job's folders.

Each is loaded when a job uses it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from opsroom.workflows.runner.builtin import AtEnd, BuiltIn, Effect, Use

_CACHE = (
    "path",
    "key",
    "restore-keys",
    "upload-chunk-size",
    "enablecrossosarchive",
    "fail-on-cache-miss",
    "lookup-only",
)
_INPUTS = {
    "actions/checkout": (
        *("repository", "ref", "token", "ssh-key", "ssh-known-hosts", "ssh-strict", "ssh-user", "persist-credentials"),
        *("path", "clean", "filter", "sparse-checkout", "sparse-checkout-cone-mode", "fetch-depth", "fetch-tags"),
        *("show-progress", "lfs", "submodules", "set-safe-directory", "github-server-url"),
    ),
    "actions/cache": (*_CACHE, "save-always"),
    "actions/cache/restore": _CACHE,
    "actions/cache/save": ("path", "key", "upload-chunk-size", "enablecrossosarchive"),
    "actions/upload-artifact": (
        *("name", "path", "if-no-files-found", "retention-days", "compression-level", "overwrite"),
        *("include-hidden-files", "archive"),
    ),
    "actions/download-artifact": (
        *("name", "artifact-ids", "path", "pattern", "merge-multiple", "github-token", "repository", "run-id"),
        *("skip-decompress", "digest-mismatch"),
    ),
    "actions/setup-python": (
        *(
            "python-version",
            "python-version-file",
            "cache",
            "architecture",
            "check-latest",
            "token",
            "allow-prereleases",
        ),
        *("cache-dependency-path", "update-environment", "freethreaded", "pip-version", "pip-install"),
    ),
}
"""The inputs of each, in lower case, by its own `action.yml`."""
_IDLE = {"actions/setup-python": ("cache", "architecture", "freethreaded", "pip-version", "pip-install")}
_WHERE = {
    "actions/checkout": ("checkout", "checkout", ""),
    "actions/cache": ("cache", "cache", "save_at_end"),
    "actions/cache/restore": ("cache", "restore", ""),
    "actions/cache/save": ("cache", "save", ""),
    "actions/upload-artifact": ("artifacts", "upload", ""),
    "actions/download-artifact": ("artifacts", "download", ""),
    "actions/setup-python": ("setup_python", "setup_python", ""),
}


def _entry(action: str, module: str, name: str, at_end: str) -> BuiltIn:
    def load(attribute: str) -> object:
        return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)

    def run(use: Use) -> Effect:
        return load(name)(use)  # type: ignore[operator, no-any-return]

    def end(use: Use, state: Mapping[str, str]) -> None:
        load(at_end)(use, state)  # type: ignore[operator]

    ending: AtEnd | None = end if at_end else None
    return BuiltIn(run=run, at_end=ending, inputs=frozenset(_INPUTS[action]), idle=frozenset(_IDLE.get(action, ())))


BUILT_IN: Mapping[str, BuiltIn] = {name: _entry(name, *where) for name, where in _WHERE.items()}
