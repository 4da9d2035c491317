"""Adoption: files as they are become files of the ops repo, committed and pushed, or given as a patch where that cannot be."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING

from opsroom.areas.configuration.adopted_yaml import Edit, as_resource, changed_resource, free_name
from opsroom.areas.configuration.kinds import check_path
from opsroom.areas.configuration.model import FileState, Target, Wanted, state_of_bytes
from opsroom.areas.configuration.planning import catalog_event
from opsroom.areas.configuration.reading import FolderReader, Unreadable
from opsroom.areas.configuration.views import AdoptedFile, Adoption
from opsroom.areas.configuration.wanted import reader_of, wanted_of
from opsroom.contracts.repositories import ops_repository
from opsroom.kernel.counting import counted
from opsroom.kernel.errors import Invalid, UserError
from opsroom.kernel.resources import Catalog

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call, Plane

INLINE_CHARACTERS = 20_000
"""Longer texts become files of their own in the ops repo."""


@dataclass(slots=True)
class _Draft:
    """What is to be changed in the ops repo, by path, in the order of pushing."""

    edits: dict[str, list[Edit]] = field(default_factory=dict)
    files: list[AdoptedFile] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def add(self, path: str, edit: Edit) -> None:
        self.edits.setdefault(path, []).append(edit)


class _Refused(Exception):
    """Why a file cannot be adopted."""


def adopt(call: Call, target: Target, paths: Sequence[str], *, branch: str = "", message: str = "") -> Adoption:
    """Writes the files at these paths, or below them, into the ops repo as they are. Invalid: nothing of it can be adopted."""
    plane = call.plane
    catalog = plane.catalogs.current()
    draft = _Draft(names={one.name for one in catalog.all("ManagedFile")})
    with reader_of(plane, target) as reader:
        for path in _expanded(reader, target, catalog, paths, draft):
            try:
                _take(plane, catalog, target, path, reader, draft)
            except (Unreadable, _Refused) as refusal:
                draft.refused[path] = str(refusal)
    if not draft.files:
        path, reason = next(iter(draft.refused.items()), (", ".join(paths) or "nothing", "there is no file there"))
        raise Invalid(f"{path} on {target.name} cannot be adopted: {reason}")
    return _commit(call, target, catalog, draft, branch=branch, message=message)


def _expanded(reader: FolderReader, target: Target, catalog: Catalog, paths: Sequence[str], draft: _Draft) -> list[str]:
    managed, found = wanted_of(catalog, target.name), list[str]()
    for given in paths:
        path = given.strip().rstrip("/")
        try:
            check_path(path)
        except ValueError as error:
            draft.refused[given] = str(error)
            continue
        below = [] if path in managed else [one for one in reader.files(path) if one not in managed]
        found += below or [path]
    return list(dict.fromkeys(found))


def _take(
    plane: Plane, catalog: Catalog, target: Target, path: str, reader: FolderReader, draft: _Draft
) -> None:  # fmt: skip
    wanted = wanted_of(catalog, target.name).get(path)
    actual = reader.read(path)
    if actual is None and (wanted is None or wanted.state is None):
        raise _Refused("it is not there")
    if wanted is not None and wanted.state is not None and actual is not None and wanted.mark == actual.mark:
        raise _Refused("the ops repo has it so already")
    text = "" if actual is None else _text_of(plane, actual)
    if wanted is None:
        assert actual is not None
        _add(catalog, target, path, actual, text, draft)
    else:
        _change(catalog, wanted, path, actual, text, draft)


def _text_of(plane: Plane, actual: FileState) -> str:
    """The text to commit. Refused: it is none, or it must not be read by everyone who reads the ops repo."""
    if actual.text is None:
        raise _Refused("it is no text of a size to review; commit it to the ops repo and name it as `source`")
    if plane.secrets.redact(actual.text) != actual.text:
        raise _Refused("it holds the value of a secret, which may not stand in the ops repo")
    if actual.mode[-1] in "0123":
        raise _Refused(
            f"mode {actual.mode} keeps it from other users, and the ops repo would not; write it there by hand"
        )
    return actual.text


def _add(catalog: Catalog, target: Target, path: str, actual: FileState, text: str, draft: _Draft) -> None:
    file, source = f"opsroom/files-{target.name.replace('/', '-')}.yaml", ""
    name = free_name(path, draft.names)
    inline = None if len(text) > INLINE_CHARACTERS else as_resource(name, target.name, path, actual.mode, content=text)
    if inline is None:
        source = f"files/{target.name}/{path}"
        if source in catalog.files:
            raise _Refused(
                f"its text needs a file of its own, and {source} is already in the ops repo; name it as `source`"
            )
        draft.add(source, lambda _: text)
        inline = as_resource(name, target.name, path, actual.mode, source=source)
        assert inline is not None
    draft.names.add(name)
    draft.add(file, _appended(inline))
    draft.files.append(AdoptedFile(path=path, how="added", place=file))


def _change(
    catalog: Catalog, wanted: Wanted, path: str, actual: FileState | None, text: str, draft: _Draft
) -> None:  # fmt: skip
    resource = catalog.get("ManagedFile", wanted.resource)
    values: dict[str, str] = {}
    if actual is None:
        values["state"] = "absent"
    else:
        if wanted.state is None:
            values["state"] = "present"
        if actual.mode != resource.spec.mode:
            values["mode"] = actual.mode
        source = resource.spec.source
        if source is not None and catalog.read(source) != text.encode():
            if state_of_bytes(catalog.read(source), "").text is None:
                raise _Refused(f"its source {source} is no text of a size to review; commit it to the ops repo by hand")
            sharing = [
                one.name for one in catalog.all("ManagedFile") if one.spec.source == source and one is not resource
            ]
            if sharing:
                raise _Refused(f"its source {source} is also that of {', '.join(sharing)}; give it one of its own")
            draft.add(source, lambda _: text)
        elif source is None and text != resource.spec.content:
            written = resource.node.value["spec"].get("content")
            if isinstance(written, str) and "${{" in written:
                raise _Refused(f"its content is made from variables ({resource.place}); change it by hand")
            if "${{" in text:
                raise _Refused("its text holds ${{, which the ops repo fills in; make it a `source`")
            values["content"] = text
    if values:
        draft.add(resource.place.file, changed_resource(resource.metadata.name, values))
    how = "declared absent" if actual is None else "changed"
    draft.files.append(AdoptedFile(path=path, how=how, place=str(resource.place)))


def _commit(
    call: Call, target: Target, catalog: Catalog, draft: _Draft, *, branch: str, message: str
) -> Adoption:  # fmt: skip
    """Pushes file by file, sources before the resources that name them, so that every commit between is a good one."""
    plane, repository = call.plane, ops_repository(call.plane)
    message = message or f"Adopt {counted(len(draft.files), 'file')} of {target.name} as they are"
    commit, reason, patches = "", "", []
    for path in sorted(
        draft.edits, key=lambda path: path.endswith((".yaml", ".yml")) and not path.startswith("files/")
    ):
        edit = _together(draft.edits[path])
        before = catalog.read(path).decode() if path in catalog.files else ""
        try:
            patches.append(_patch(path, before, edit(before)))
            if not reason:
                base = "" if branch else catalog.commit
                commit = plane.repos.edit(
                    repository, path, edit, message=message, author=_author(call), branch=branch, base=base
                )
        except UserError as error:
            reason = reason or str(error)
    if reason:
        reason = f"{reason}; apply the patch to the ops repo by hand (git apply)"
    else:
        _tell(call, target, catalog, draft, commit)
    return Adoption(
        target=target.name, commit="" if reason else commit, branch=branch, files=draft.files, refused=draft.refused,
        patch="".join(patches), reason=reason,
    )  # fmt: skip


def _tell(call: Call, target: Target, catalog: Catalog, draft: _Draft, commit: str) -> None:
    plane = call.plane
    names = [file.path for file in draft.files]
    with plane.store.begin() as tx:
        plane.ledger.record(
            tx, "configuration.adopted", actor=call.actor.id, cause=call.cause or catalog_event(plane, catalog.commit),
            key=f"adopted:{commit}:{target.name}",
            subjects=[f"host:{target.name}", *(f"file:{name}" for name in names[:50]), f"commit:{commit}",
                      f"repository:{ops_repository(plane)}"],
            data={"target": target.name, "count": len(names), "files": names[:500], "commit": commit},
        )  # fmt: skip


def _author(call: Call) -> tuple[str, str]:
    user = call.plane.catalogs.current().find("User", call.actor.id.partition(":")[2])
    profile = getattr(user.spec, "profile", None) if user else None
    return call.actor.name, str(getattr(profile, "email", "") or "")


def _appended(document: str) -> Edit:
    def edit(text: str) -> str:
        if not text.strip():
            return f"# Files adopted as they were.\n{document}"
        return text.rstrip("\n") + f"\n---\n{document}"

    return edit


def _together(edits: Sequence[Callable[[str], str]]) -> Callable[[str], str]:
    return lambda text: reduce(lambda done, edit: edit(done), edits, text)


def _patch(path: str, before: str, after: str) -> str:
    """A unified diff that `git apply` takes."""
    old = f"a/{path}" if before else "/dev/null"
    lines = difflib.unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), old, f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
