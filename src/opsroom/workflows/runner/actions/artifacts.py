"""actions/upload-artifact and actions/download-artifact over a folder of blobs, one folder for all jobs of a run.

Blobs are archives, named by the SHA-256 of their bytes; `names/NAME.json` says which blob an artefact is, and which step owns the
name. A step that was cut off and is done again owns what it kept before, so it replaces that; so does a later attempt of the job or
run. Any other step gets the name only by `overwrite`. Source of the inputs and rules: the README of both actions, version 4.
"""

from __future__ import annotations

import fnmatch
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from opsroom.kernel.blobs import Blobs
from opsroom.workflows.runner.actions.archive import Packed, pack, unpack
from opsroom.workflows.runner.actions.locking import locked
from opsroom.workflows.runner.beneath import Entry, Folder, stays_within
from opsroom.workflows.runner.builtin import ActionFailed, Effect, Use
from opsroom.workflows.runner.globs import lines, literal_head, matching

_FORBIDDEN = frozenset('":<>|*?\r\n\\/')
_NO_FILES = ("warn", "error", "ignore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One artefact of a run; `size` in bytes of the archive."""

    name: str
    digest: str
    size: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The step that made an artefact: of which run, job and attempt, its index in the job, and its place in a file, by which the steps
    of one composite action are told apart."""

    run: str
    job: str
    attempt: int
    step: int
    place: str

    @classmethod
    def of(cls, use: Use) -> Owner:
        order = use.order
        return cls(run=order.run, job=order.job, attempt=order.attempt, step=use.step, place=use.place)

    def may_replace(self, before: Owner) -> bool:
        """Whether this step done again, or a later attempt, takes the name over without being asked to overwrite."""
        return self == before or (self.run == before.run and self.attempt > before.attempt)


def upload(use: Use) -> Effect:
    """Keeps the files that `path` names; outputs artifact-id, artifact-digest and artifact-url."""
    name = use.input("name", "artifact")
    if not name.strip(".") or any(character in _FORBIDDEN for character in name):
        raise ActionFailed(
            f"artifact name {name!r} holds one of {' '.join(sorted(_FORBIDDEN - set(chr(13) + chr(10))))}; use letters, digits and '-'"
        )
    store, owner, overwrite = _Store(use), Owner.of(use), use.flag("overwrite")
    store.check_free(name, owner, overwrite=overwrite)
    with Folder(use.layout.workspace) as workspace, Folder(use.layout.temp) as temp:
        items = _chosen(use, {"workspace": workspace, "temp": temp})
        if not items:
            return _nothing(use)
        artifact = store.keep(name, items, owner, overwrite=overwrite)
    use.event("artifact", asdict(artifact))
    use.output.write(f"artifact {name}: {artifact.files} files, {artifact.size:,} bytes, {artifact.digest}")
    digest = artifact.digest.removeprefix("sha256:")
    return Effect(outputs={"artifact-id": digest[:16], "artifact-digest": digest, "artifact-url": ""})


def download(use: Use) -> Effect:
    """Writes one artefact (`name`) to `path`, or all that match `pattern`, each to a folder of its name unless merge-multiple."""
    store, name = _Store(use), use.input("name")
    target = use.layout.outside(use.input("path", "."))
    root = use.layout.root_of(target)
    below = target.relative_to(root.resolve()).as_posix()
    if name:
        artifact = store.find(name)
        if artifact is None:
            raise ActionFailed(f"no artifact {name!r} in this run; there are {', '.join(store.names()) or 'none'}")
        chosen = {name: artifact}
        alone = True
    else:
        pattern = use.input("pattern", "*")
        chosen = {
            one: found for one in store.names() if fnmatch.fnmatchcase(one, pattern) and (found := store.find(one))
        }
        alone = use.flag("merge-multiple")
    with Folder(root) as folder:
        for one, artifact in chosen.items():
            place = below if alone else f"{below}/{one}"
            with store.blobs.open(artifact.digest) as raw:
                files = unpack(raw, folder, below=place if place != "." else "")  # type: ignore[arg-type]
            use.output.write(f"artifact {one}: {files} files")
    return Effect(outputs={"download-path": use.layout.named(target)})


class _Store:
    """The artefacts of one run."""

    def __init__(self, use: Use) -> None:
        if not use.order.artifacts:
            raise ActionFailed("this run keeps no artifacts; run it where an artifact folder is set")
        self.root = Path(use.order.artifacts)
        self.blobs = Blobs(self.root / "blobs")

    def names(self) -> list[str]:
        return sorted(path.stem for path in (self.root / "names").glob("*.json"))

    def find(self, name: str) -> Artifact | None:
        found = self._read(name)
        return found[0] if found else None

    def check_free(self, name: str, owner: Owner, *, overwrite: bool) -> None:
        """ActionFailed: the name is another step's, and it is not to be overwritten."""
        found = self._read(name)
        if found is None or overwrite:
            return
        before = found[1]
        if before is None or not owner.may_replace(before):
            of = f" (job {before.job}, step {before.step + 1})" if before else ""
            raise ActionFailed(
                f"an artifact {name!r} exists in this run already{of}; choose another name, or set overwrite: true"
            )

    def keep(self, name: str, items: list[Packed], owner: Owner, *, overwrite: bool) -> Artifact:
        """Durable before it returns: first the blob, then its name. Two jobs that keep one name at once do so one after the other."""
        names = self.root / "names"
        names.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.root) as scratch:
            archive = Path(scratch) / "archive.tar"
            files = pack(items, archive)
            artifact = Artifact(name=name, digest=self.blobs.put(archive), size=archive.stat().st_size, files=files)
            note = Path(scratch) / "name.json"
            note.write_text(json.dumps({**asdict(artifact), "owner": asdict(owner)}))
            with locked(self.root):
                self.check_free(name, owner, overwrite=overwrite)
                note.replace(names / f"{name}.json")
        return artifact

    def _read(self, name: str) -> tuple[Artifact, Owner | None] | None:
        """An artefact and its owner; None for the owner of one that an older release kept."""
        try:
            data = json.loads((self.root / "names" / f"{name}.json").read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        owner = data.pop("owner", None)
        return Artifact(**data), Owner(**owner) if owner else None


def _nothing(use: Use) -> Effect:
    wish = use.input("if-no-files-found", "warn")
    text = f"no files found for path {use.input('path')!r}; nothing is uploaded"
    if wish not in _NO_FILES:
        raise ActionFailed(f"if-no-files-found is {wish!r}; write {', '.join(_NO_FILES)}")
    if wish == "error":
        raise ActionFailed(text)
    if wish == "warn":
        use.output.annotate("warning", text)
    return Effect()


def _chosen(use: Use, folders: Mapping[str, Folder]) -> list[Packed]:
    """The files `path` names, with their names in the archive: below the deepest folder that all of its lines share."""
    if not use.input("path"):
        raise ActionFailed("actions/upload-artifact needs the input 'path'; name files, folders or patterns")
    wanted, unwanted = lines(use.input("path"))
    hidden = use.flag("include-hidden-files")
    found: dict[tuple[str, str], Entry] = {}
    heads: list[PurePosixPath] = []
    leave = [_rooted(use, one) for one in unwanted]
    for line in wanted:
        root, pattern = _rooted(use, line)
        entries = list(matching(folders[root], [pattern], [one for where, one in leave if where == root]))
        kept = [entry for entry in entries if entry.kind != "folder" and (hidden or not _hidden(entry.path, pattern))]
        head = literal_head(pattern)
        single = any(entry.path == pattern.strip("/") for entry in kept)
        heads.append(PurePosixPath(root, PurePosixPath(head).parent if single else head))
        found.update({(root, entry.path): entry for entry in kept})
    shared = _shared(heads)
    items = []
    for (root, path), entry in found.items():
        name = PurePosixPath(root, path).relative_to(shared).as_posix()
        if entry.kind == "link" and (
            entry.target.startswith("/") or not stays_within(name.split("/")[:-1], entry.target)
        ):
            use.output.annotate("warning", f"{path} is a link out of the artifact ({entry.target}); it is left out")
            continue
        items.append(Packed(folder=folders[root], entry=entry, name=name))
    return items


def _rooted(use: Use, line: str) -> tuple[str, str]:
    """Which folder a line's pattern is in, and the pattern from there on; links on the way are resolved within it."""
    head = literal_head(line)
    real = use.layout.outside(head or ".")
    root = use.layout.root_of(real)
    if root == use.layout.home:
        raise ActionFailed(f"path {line!r} is in the home folder; copy the files into the workspace first")
    rest = line[len(head) :].lstrip("/")
    start = real.relative_to(root.resolve()).as_posix()
    return root.name, "/".join(part for part in (start if start != "." else "", rest) if part) or "**"


def _hidden(path: str, pattern: str) -> bool:
    """Whether a part beyond those that the pattern names begins with a dot."""
    named = len([part for part in literal_head(pattern).split("/") if part])
    return any(part.startswith(".") for part in path.split("/")[named:])


def _shared(heads: list[PurePosixPath]) -> PurePosixPath:
    parts = [head.parts for head in heads]
    shared = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return PurePosixPath(*shared)
