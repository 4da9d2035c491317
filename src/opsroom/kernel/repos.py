"""Git: mirrors of watched repositories, what changed in them, reading at a commit, and edits that are committed and pushed.

Reading is done by libgit2 on the mirror; the network, and copying from a local folder, by the git command.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from opsroom.kernel.commits import Commit, Files, Refs, commit_file, commit_value, contains, read_blob, read_refs
from opsroom.kernel.errors import Conflict, Invalid, NotFound, UserError
from opsroom.kernel.git import Credentials, check_url, git_directory, local_path, run_git, shown_url

if TYPE_CHECKING:
    import pygit2

REMOTE_SECONDS = 30.0
_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefChange:
    """A branch or tag that moved. `before` is "" for a new one, `after` for a deleted one. `forced`: commits of before are gone from it."""

    repository: str
    ref: str
    before: str
    after: str
    forced: bool = False

    @property
    def branch(self) -> str:
        """The branch's name; "" for a tag."""
        return self.ref.removeprefix("refs/heads/") if self.ref.startswith("refs/heads/") else ""


@dataclass(slots=True)
class _Watched:
    """One watched repository, and what was seen of it."""

    name: str
    url: str
    mirror: Path
    accepted: Refs
    refs: Refs = field(default_factory=dict)
    fingerprint: object = None
    next_look: float = 0.0
    looking: Future[None] | None = None
    fault: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Access(TypedDict):
    """How git is let in where it asks who comes."""

    credentials: Credentials | None
    ssh: str


class Repos:
    """Mirrors under `folder`, one bare repository each. Safe to use from many threads; `poll` from one.

    `remote_seconds` is how often another machine is asked; a local folder is looked at on every poll."""

    def __init__(
        self, folder: Path, *, credentials: Credentials | None = None, ssh: str = "ssh", remote_seconds: float = REMOTE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._folder = folder
        self._access: Access = {"credentials": credentials, "ssh": ssh}
        self._remote_seconds = remote_seconds
        self._monotonic = monotonic
        self._watched: dict[str, _Watched] = {}
        self._pool = ThreadPoolExecutor(4, "git")

    def watch(self, name: str, url: str, *, seen: Mapping[str, str] | None = None) -> None:
        """Watches `url` (a Git URL, or the path of a bare or ordinary repository) as `name`. `seen` are the refs already dealt with, as
        stored from accepted changes. Watching the same name again changes its URL and keeps what was seen. Error: a bad name or URL."""
        check_url(url)
        if not name or name in {".", ".."} or not all(letter.isalnum() or letter in "._-" for letter in name):
            raise Invalid(f"{name!r} is no name for a repository; use letters, digits, - _ and .")
        known = self._watched.get(name)
        if known is None:
            self._watched[name] = _Watched(name, url, self._folder / f"{name}.git", dict(seen or {}))
        elif known.url != url:
            known.url, known.fingerprint, known.next_look = url, None, 0.0

    def forget(self, name: str) -> None:
        """Watches it no longer; its mirror stays."""
        self._watched.pop(name, None)

    def names(self) -> tuple[str, ...]:
        """The watched repositories."""
        return tuple(sorted(self._watched))

    def url(self, name: str) -> str:
        """Where it comes from, without credentials. Error: not watched."""
        return shown_url(self._of(name).url)

    def path(self, name: str) -> Path:
        """The mirror: a bare repository on this machine. Error: not watched."""
        return self._of(name).mirror

    def poll(self) -> list[RefChange]:
        """Every ref that differs from what was accepted; the same ones again until `accept`. One repository that cannot be read holds up
        no other: see `faults`. Costs well under a millisecond a local repository where nothing moved."""
        changes: list[RefChange] = []
        for watched in list(self._watched.values()):
            self._look(watched)
            if watched.fingerprint is not None and watched.refs != watched.accepted:
                changes += self._changes(watched)
        return changes

    def accept(self, change: RefChange) -> None:
        """Says that a change is dealt with (stored, in the caller's transaction): `poll` tells it no more."""
        watched = self._of(change.repository)
        if change.after:
            watched.accepted[change.ref] = change.after
        else:
            watched.accepted.pop(change.ref, None)

    def seen(self, name: str) -> Refs:
        """The accepted refs, to be stored and given to `watch` after a restart."""
        return dict(self._of(name).accepted)

    def faults(self) -> dict[str, str]:
        """Why a repository could not be read when it was last looked at, by name."""
        return {watched.name: watched.fault for watched in self._watched.values() if watched.fault}

    def refs(self, name: str) -> Refs:
        """The branches and tags of the mirror as they were last seen."""
        self._open(name)
        return dict(self._of(name).refs)

    def default_branch(self, name: str) -> str:
        """The branch that HEAD of the source names; "" for an empty repository."""
        repository = self._open(name)
        head = str(repository.lookup_reference("HEAD").target)
        return head.removeprefix("refs/heads/") if head in repository.references else ""

    def resolve(self, name: str, revision: str) -> str:
        """The commit id of a branch, tag, or (short) id. Error: not found."""
        return str(self._commit(self._open(name), name, revision).id)

    def commit(self, name: str, revision: str) -> Commit:
        """One commit. Error: not found."""
        return commit_value(self._commit(self._open(name), name, revision))

    def read(self, name: str, commit: str, path: str) -> bytes:
        """The bytes of a file at a commit. Error: not found."""
        return self.files(name, commit)[path]

    def list_files(self, name: str, commit: str, prefix: str = "") -> list[str]:
        """Paths of all files at a commit that start with `prefix`, sorted. Error: not found."""
        return sorted(path for path in self.files(name, commit) if path.startswith(prefix))

    def files(self, name: str, commit: str) -> Files:
        """Every file at a commit, by path, read when asked for. Error: not found."""
        repository = self._open(name)
        return Files(repository, self._commit(repository, name, commit))

    def changed_paths(self, name: str, before: str, after: str) -> list[str]:
        """Paths that differ between two commits, both names of a renamed file; all of `after` where `before` is ""."""
        if not before:
            return self.list_files(name, after)
        repository = self._open(name)
        tree = self._commit(repository, name, after).tree
        deltas = self._commit(repository, name, before).tree.diff_to_tree(tree).deltas
        return sorted({path for delta in deltas for path in (delta.old_file.path, delta.new_file.path)})

    def log(self, name: str, after: str, before: str = "", limit: int = 100) -> list[Commit]:
        """Commits reachable from `after` and not from `before`, newest first. A `before` that is gone (a forced push) excludes nothing."""
        import pygit2

        repository = self._open(name)
        order = pygit2.enums.SortMode.TOPOLOGICAL | pygit2.enums.SortMode.TIME
        walker = repository.walk(self._commit(repository, name, after).id, order)
        if before and before in repository:
            walker.hide(self._commit(repository, name, before).id)
        return [commit_value(commit) for commit, _ in zip(walker, range(limit), strict=False)]

    def edit(
        self, name: str, path: str, change: Callable[[str], str], *, message: str, author: tuple[str, str], branch: str = "",
        base: str = "",
    ) -> str:  # fmt: skip
        """Changes a text file on a branch (default: the default one), commits it as `author` (name, e-mail) and pushes; returns the
        commit. `base` is the commit that the author looked at. Conflict: the file is no longer as it was there, or the push was rejected,
        or nothing would change."""
        watched = self._of(name)
        with watched.lock:
            self._fetch(watched)
        repository = self._open(name)
        branch = branch or self.default_branch(name)
        head = self._commit(repository, name, f"refs/heads/{branch}")
        before = read_blob(head, path)
        if base and read_blob(self._commit(repository, name, base), path) != before:
            raise Conflict(f"{path} of {name} has changed since {base[:12]}; look at it again and repeat the change")
        text = (before or b"").decode("utf-8")
        after = change(text)
        if after == text:
            raise Conflict(f"{path} of {name} already says that; nothing to commit")
        commit = commit_file(repository, head, path, after.encode(), message, author)
        lease = f"--force-with-lease=refs/heads/{branch}:{head.id}"
        arguments = ("push", "--quiet", "--no-verify", lease, "--", watched.url, f"{commit}:refs/heads/{branch}")
        run_git(*arguments, folder=watched.mirror, url=watched.url, **self._access)
        return commit

    def close(self) -> None:
        """Waits for what is being fetched."""
        self._pool.shutdown(cancel_futures=True)

    def _of(self, name: str) -> _Watched:
        try:
            return self._watched[name]
        except KeyError:
            raise NotFound(
                f"no repository {name!r} is watched; there are {', '.join(self.names()) or 'none'}"
            ) from None

    def _open(self, name: str) -> pygit2.Repository:
        import pygit2

        # libgit2's repositories may not be shared between threads; opening one costs a tenth of a millisecond.
        watched = self._of(name)
        if not watched.mirror.exists():
            raise NotFound(f"repository {name!r} was not fetched yet{f': {watched.fault}' if watched.fault else ''}")
        return pygit2.Repository(str(watched.mirror), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)

    def _commit(self, repository: pygit2.Repository, name: str, revision: str) -> pygit2.Commit:
        import pygit2

        try:
            found: pygit2.Commit = repository.revparse_single(revision).peel(pygit2.Commit)
        except (KeyError, ValueError, pygit2.GitError):
            raise NotFound(f"no commit {revision!r} in repository {name!r}") from None
        return found

    def _look(self, watched: _Watched) -> None:
        source = local_path(watched.url)
        if source is not None:
            self._look_here(watched, source)
        elif (watched.looking is None or watched.looking.done()) and self._monotonic() >= watched.next_look:
            watched.next_look = self._monotonic() + self._remote_seconds
            watched.looking = self._pool.submit(self._try_fetch, watched, object())

    def _look_here(self, watched: _Watched, source: Path) -> None:
        directory = git_directory(source)
        if directory is None:
            watched.fault = f"{source} is no Git repository; run `git init` there or mend the path"
            return
        fingerprint = _fingerprint(directory)
        if fingerprint != watched.fingerprint or watched.fault:
            self._try_fetch(watched, fingerprint)

    def _try_fetch(self, watched: _Watched, fingerprint: object) -> None:
        try:
            with watched.lock:
                self._fetch(watched)
        except UserError as error:
            watched.fault = str(error)
        else:
            watched.fingerprint, watched.fault = fingerprint, ""

    def _fetch(self, watched: _Watched) -> None:
        mirror, folder = watched.mirror, local_path(watched.url)
        url = str(folder.resolve()) if folder else watched.url
        if not (mirror / "HEAD").exists():
            mirror.mkdir(parents=True, exist_ok=True)
            run_git("init", "--bare", "--quiet", "--initial-branch=main", folder=mirror)
        options = ("--quiet", "--prune", "--force", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        run_git("fetch", *options, "--", url, *_REFSPECS, folder=mirror, url=watched.url, **self._access)
        head = self._source_head(watched)
        repository = self._open(watched.name)
        if head.startswith("refs/heads/"):
            repository.set_head(head)
        watched.refs = read_refs(repository)

    def _source_head(self, watched: _Watched) -> str:
        """The ref that HEAD of the source names; another text where it names none."""
        folder = local_path(watched.url)
        if folder is not None:
            # The file itself: a process for one line would double the cost of a fetch.
            directory = git_directory(folder)
            return (directory / "HEAD").read_text("utf-8").removeprefix("ref:").strip() if directory else ""
        arguments = ("ls-remote", "--symref", "--", watched.url, "HEAD")
        told = run_git(*arguments, folder=watched.mirror, url=watched.url, **self._access)
        return told.split()[1] if told.startswith("ref: ") else ""

    def _changes(self, watched: _Watched) -> Iterator[RefChange]:
        repository, now = self._open(watched.name), watched.refs
        for ref in sorted(now.keys() | watched.accepted.keys()):
            before, after = watched.accepted.get(ref, ""), now.get(ref, "")
            if before != after:
                forced = bool(before and after) and not contains(repository, after, before)
                yield RefChange(repository=watched.name, ref=ref, before=before, after=after, forced=forced)


def repository_name(url: str) -> str:
    """The name a repository goes by: the last part of its URL, without `.git`."""
    return url.rstrip("/").replace(":", "/").rpartition("/")[2].removesuffix(".git")


def resolve_url(url: str, base: str) -> str:
    """`url` as it is, or where it is a relative path, taken from the repository at `base` (a path or a Git URL)."""
    if not url.startswith(("./", "../")):
        return url
    if (folder := local_path(base)) is not None:
        return str((folder.resolve() / url).resolve())
    head, separator, path = base.partition("://")
    parts = (path if separator else base).rstrip("/").split("/")
    for part in url.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {".", ""}:
            parts.append(part)
    return (f"{head}://" if separator else "") + "/".join(parts)


def _fingerprint(directory: Path) -> object:
    """Changes whenever a ref of the repository does: the loose refs as they are, and who the packed ones are."""
    packed = [_identity(directory / name) for name in ("packed-refs", "reftable/tables.list")]
    loose = []
    for folder in (directory / "refs" / "heads", directory / "refs" / "tags"):
        for file in folder.rglob("*") if folder.is_dir() else ():
            try:
                loose.append((str(file), file.read_bytes()))
            except (IsADirectoryError, FileNotFoundError):
                continue
    return packed, sorted(loose), _identity(directory / "HEAD")


def _identity(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
