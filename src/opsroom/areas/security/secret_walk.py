"""Looking through files for secrets, a process of its own: so much text is read and matched that the server would stand still.

`python -m opsroom.areas.security.secret_walk` reads `{"workspace", "path", "files", "bytes", "seconds"}` as JSON on standard
input and writes JSON lines: `{"hit": {rule, title, severity, path, line, value}}`, `{"unchecked": {what, why}}` and at the end
`{"end": {looked_at}}`. Values go through the pipe alone, never to a file. The network is not used.
"""

from __future__ import annotations

import codecs
import json
import os
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from opsroom.areas.security.files import open_folder, read_at
from opsroom.areas.security.secret_rules import Hit, hits_in, is_placeholder, line_of

_PLUGINS = (
    ("artifactory", "ArtifactoryDetector", "high"), ("azure_storage_key", "AzureStorageKeyDetector", "critical"),
    ("basic_auth", "BasicAuthDetector", "high"), ("discord", "DiscordBotTokenDetector", "high"),
    ("gitlab_token", "GitLabTokenDetector", "critical"), ("jwt", "JwtTokenDetector", "medium"),
    ("mailchimp", "MailchimpDetector", "high"), ("npm", "NpmDetector", "critical"),
    ("openai", "OpenAIDetector", "high"), ("pypi_token", "PypiTokenDetector", "critical"),
    ("sendgrid", "SendGridDetector", "high"), ("square_oauth", "SquareOAuthDetector", "high"),
    ("stripe", "StripeDetector", "critical"), ("telegram_token", "TelegramBotTokenDetector", "high"),
    ("twilio", "TwilioKeyDetector", "high"),
)  # fmt: skip
"""Of detect-secrets: module, class, severity. Only `analyze_string` is called, which never asks the vendor whether a value holds.
Those whose format is no more than a long word beside `key` or `token` are left to our rule for assigned values."""

_LEFT_OUT = frozenset({".git"})
_BINARY_HEAD = 8192


def walk(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The lines described above, for one request."""
    until = time.monotonic() + request["seconds"]
    plugins, most = _plugins(), request["bytes"]
    looked_at = 0
    with open_folder(Path(request["workspace"]), request["path"]) as top:
        for count, (path, folder, name) in enumerate(_files(top)):
            if count >= request["files"] or time.monotonic() > until:
                bound = f"{request['files']} files" if count >= request["files"] else f"{request['seconds']} s"
                yield {"unchecked": {"what": "*", "why": f"more to look at than {bound} allow"}}
                break
            content = read_at(folder, name, limit=most)
            if content is None or len(content) > most:
                why = "cannot be read" if content is None else f"larger than {most} bytes"
                yield {"unchecked": {"what": path, "why": why}}
                continue
            looked_at += 1
            for hit in _hits(content, plugins):
                yield {"hit": {"rule": hit.rule, "title": hit.title, "severity": hit.severity, "path": path,
                               "line": hit.line, "value": hit.value}}  # fmt: skip
    yield {"end": {"looked_at": looked_at}}


def _hits(content: bytes, plugins: list[tuple[str, str, Any]]) -> Iterator[Hit]:
    """Text by all rules; other bytes by the formats that cannot come about by chance."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16", "replace")
    elif b"\0" in content[:_BINARY_HEAD]:
        yield from hits_in(content.decode("latin-1"), assigned=False)
        return
    else:
        text = content.decode("utf-8", "replace")
    yield from hits_in(text)
    yield from _plugin_hits(plugins, text)


def _files(top: int) -> Iterator[tuple[str, int, str]]:
    """Path, open folder and name of every regular file, in the order of their names."""
    for root, folders, names, here in os.fwalk(".", dir_fd=top, follow_symlinks=False):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        for name in sorted(names):
            if stat.S_ISREG(_mode(here, name)):
                yield (Path(root) / name).as_posix(), here, name


def _mode(folder: int, name: str) -> int:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except OSError:
        return 0  # It was removed since the folder was read.


def _plugins() -> list[tuple[str, str, Any]]:
    from importlib import import_module

    found = []
    for module, name, severity in _PLUGINS:
        plugin = getattr(import_module(f"detect_secrets.plugins.{module}"), name)()
        found.append((module.replace("_", "-"), severity, plugin))
    return found


def _plugin_hits(plugins: list[tuple[str, str, Any]], text: str) -> Iterator[Hit]:
    for rule, severity, plugin in plugins:
        for value in plugin.analyze_string(text):
            if isinstance(value, str) and len(value) >= 8 and not is_placeholder(value) and "$" not in value:
                line = line_of(text, text.find(value))
                yield Hit(rule=rule, title=plugin.secret_type, severity=severity, line=line, value=value)


def main() -> None:
    request = json.load(sys.stdin)
    for line in walk(request):
        sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
