"""The actions a runner carries out itself: trusted code outside the sandbox, confined to the job's folders.

Each is loaded when a job uses it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from opsroom.workflows.runner.builtin import AtEnd, BuiltIn, Effect, Use

_WHERE = {
    "actions/checkout": ("checkout", "checkout", ""),
    "actions/cache": ("cache", "cache", "save_at_end"),
    "actions/cache/restore": ("cache", "restore", ""),
    "actions/cache/save": ("cache", "save", ""),
    "actions/upload-artifact": ("artifacts", "upload", ""),
    "actions/download-artifact": ("artifacts", "download", ""),
    "actions/setup-python": ("setup_python", "setup_python", ""),
}


def _entry(module: str, name: str, at_end: str) -> BuiltIn:
    def load(attribute: str) -> object:
        return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)

    def run(use: Use) -> Effect:
        return load(name)(use)  # type: ignore[operator, no-any-return]

    def end(use: Use, state: Mapping[str, str]) -> None:
        load(at_end)(use, state)  # type: ignore[operator]

    ending: AtEnd | None = end if at_end else None
    return BuiltIn(run=run, at_end=ending)


BUILT_IN: Mapping[str, BuiltIn] = {name: _entry(*where) for name, where in _WHERE.items()}
