"""The YAML of adopted files: a new ManagedFile that reads back as the very text, and values changed in one that stands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256

from opsroom.kernel.documents import load_documents
from opsroom.kernel.errors import Conflict
from opsroom.kernel.yaml_edit import edit_yaml

Edit = Callable[[str], str]
_PLAIN = re.compile(r"(?!(?:true|false|null)$)[A-Za-z][A-Za-z0-9_./-]*", re.IGNORECASE)


def as_resource(
    name: str, host: str, path: str, mode: str, *, content: str | None = None, source: str = ""
) -> str | None:
    """A ManagedFile as YAML; None where no way of writing this content reads back as it is."""
    head = (
        f"apiVersion: opsroom.dev/v1\nkind: ManagedFile\nmetadata:\n  name: {_scalar(name)}\n"
        f'spec:\n  host: {_scalar(host)}\n  path: {_scalar(path)}\n  mode: "{mode}"\n'
    )
    if content is None:
        return f"{head}  source: {_scalar(source)}\n"
    if "${{" in content:
        return None
    for way in (_block, _quoted):
        text = head + way(content)
        nodes, problems = load_documents(text, "", syntax="yaml")
        if not problems and len(nodes) == 1 and nodes[0].value["spec"].get("content") == content:
            return text
    return None


def changed_resource(name: str, values: Mapping[str, str]) -> Edit:
    """An edit that sets these fields of the spec of the ManagedFile of this name."""

    def edit(text: str) -> str:
        from ruamel.yaml.scalarstring import LiteralScalarString

        number = _document(text, name)
        for field, value in values.items():
            written = LiteralScalarString(value) if "\n" in value else value
            text = edit_yaml(text, ("spec", field), written, document=number)
        return text

    return edit


def free_name(path: str, taken: Collection[str]) -> str:
    """A name of a resource made from a path, and not taken: etc/motd is etc-motd."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", path).strip("-_.") or "file"
    if len(name) <= 63 and name not in taken:
        return name
    return f"{name[-52:].strip('-_.')}-{sha256(path.encode()).hexdigest()[:10]}"


def _document(text: str, name: str) -> int:
    nodes, _ = load_documents(text, "", syntax="yaml")
    for number, node in enumerate(nodes):
        value = node.value if isinstance(node.value, dict) else {}
        metadata = value.get("metadata")
        if value.get("kind") == "ManagedFile" and isinstance(metadata, dict) and metadata.get("name") == name:
            return number
    raise Conflict(f"ManagedFile {name} is no longer in its file; look at the ops repo and adopt again")


def _block(content: str) -> str:
    """A literal block, as a person would write it."""
    first = next((line for line in content.split("\n") if line.strip()), "")
    hint = "2" if first.startswith((" ", "\t")) or content.startswith("\n") else ""
    chomp = "-" if not content.endswith("\n") else "+" if content.endswith("\n\n") or content == "\n" else ""
    body = content.removesuffix("\n") if content.endswith("\n") else content
    lines = "".join(f"    {line}\n" if line else "\n" for line in body.split("\n"))
    return f"  content: |{hint}{chomp}\n{lines}"


def _quoted(content: str) -> str:
    plain = json.dumps(content, ensure_ascii=False)
    # YAML takes some of what JSON leaves as it is for line breaks, and refuses the rest of what cannot be seen.
    escaped = "".join(char if char.isprintable() or ord(char) > 0xFFFF else f"\\u{ord(char):04x}" for char in plain)
    return f"  content: {escaped}\n"


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
