"""Git objects as values: commits, the files of one, refs, and a commit made without a work tree; read by libgit2."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from opsroom.kernel.errors import NotFound

if TYPE_CHECKING:
    import pygit2

Refs = dict[str, str]
"""Full ref names (`refs/heads/main`, `refs/tags/v1`) to commit ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit; `time` is when it was committed."""

    id: str
    author: str
    email: str
    time: datetime
    message: str
    parents: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The first line of the message."""
        return self.message.partition("\n")[0]


class Files(Mapping[str, bytes]):
    """The files of one commit by path, each read when asked for; links and submodules are not among them. Threads may share it."""

    def __init__(self, repository: pygit2.Repository, commit: pygit2.Commit) -> None:
        self._repository = repository
        self._lock = threading.Lock()
        self._commit = str(commit.id)
        self._blobs = dict(_walk(commit.tree, ""))

    def __getitem__(self, path: str) -> bytes:
        if path not in self._blobs:
            raise NotFound(f"no file {path!r} at {self._commit[:12]}")
        with self._lock:
            return _data(self._repository[self._blobs[path]])

    def __contains__(self, path: object) -> bool:
        return path in self._blobs

    def __iter__(self) -> Iterator[str]:
        return iter(self._blobs)

    def __len__(self) -> int:
        return len(self._blobs)


def read_refs(repository: pygit2.Repository) -> Refs:
    """Branches and tags with the commits they name; a tag of something else is left out."""
    import pygit2

    refs = {}
    for name in repository.references:
        if name.startswith(("refs/heads/", "refs/tags/")):
            try:
                refs[name] = str(repository.references[name].peel(pygit2.Commit).id)
            except (KeyError, pygit2.GitError, pygit2.InvalidSpecError):
                continue  # a tag of a tree or a blob is no commit
    return refs


def contains(repository: pygit2.Repository, after: str, before: str) -> bool:
    """Whether `before` is `after` or one of its ancestors."""
    return before in repository and (after == before or bool(repository.descendant_of(after, before)))


def commit_value(commit: pygit2.Commit) -> Commit:
    """The commit as a value."""
    zone = timezone(timedelta(minutes=commit.commit_time_offset))
    moment = datetime.fromtimestamp(commit.commit_time, zone).astimezone(UTC)
    parents = tuple(str(parent) for parent in commit.parent_ids)
    # Decoded here: libgit2 raises where a message is not of the encoding it claims.
    name, email, message = commit.author.raw_name, commit.author.raw_email, commit.raw_message
    return Commit(
        id=str(commit.id), author=(name or b"").decode("utf-8", "replace"), email=(email or b"").decode("utf-8", "replace"),
        time=moment, message=message.decode("utf-8", "replace"), parents=parents,
    )  # fmt: skip


def _walk(tree: pygit2.Tree, prefix: str) -> Iterator[tuple[str, pygit2.Oid]]:
    import pygit2

    for entry in tree:
        if isinstance(entry, pygit2.Tree):
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif isinstance(entry, pygit2.Blob) and entry.filemode != pygit2.enums.FileMode.LINK:
            yield f"{prefix}{entry.name}", entry.id


def _data(found: object) -> bytes:
    import pygit2

    if not isinstance(found, pygit2.Blob):
        raise KeyError(found)
    return found.data


def read_blob(commit: pygit2.Commit, path: str) -> bytes | None:
    """The bytes of a file, or None where the commit has none there."""
    try:
        return _data(commit.tree[path])
    except KeyError:
        return None


def commit_file(
    repository: pygit2.Repository, head: pygit2.Commit, path: str, data: bytes, message: str, author: tuple[str, str]
) -> str:
    """A commit on top of `head` that differs in one file; no ref moves and no work tree is needed."""
    import pygit2

    index = pygit2.Index()
    index.read_tree(head.tree)
    mode = head.tree[path].filemode if path in head.tree else pygit2.enums.FileMode.BLOB
    index.add(pygit2.IndexEntry(path, repository.create_blob(data), mode))
    tree = index.write_tree(repository)
    # Git refuses an empty name or address, and a person of the catalog need not have either.
    signature = pygit2.Signature(author[0] or "opsroom", author[1] or "opsroom@localhost")
    return str(repository.create_commit(None, signature, signature, message, tree, [head.id]))
