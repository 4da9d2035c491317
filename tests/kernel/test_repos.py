"""Repositories: what moved, reading at a commit, edits that are pushed, and what goes wrong."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_door import git_door
from opsroom.kernel.documents import load_documents
from opsroom.kernel.errors import Conflict, Invalid, NotFound, UserError
from opsroom.kernel.git import check_url, run_git, shown_url
from opsroom.kernel.repos import RefChange, Repos, repository_name, resolve_url
from opsroom.kernel.yaml_edit import REMOVE, edit_yaml

ENVIRONMENT = {
    "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "Maria", "GIT_COMMITTER_NAME": "Maria",
    "GIT_AUTHOR_EMAIL": "maria@example.com", "GIT_COMMITTER_EMAIL": "maria@example.com",
}  # fmt: skip


class Source:
    """A repository of a person: an ordinary one with a work tree."""

    def __init__(self, folder: Path, *, bare: bool = False) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "-q", "-b", "main", *(["--bare"] if bare else []))

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=ENVIRONMENT, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str = "change", **files: str) -> str:
        """Commits these files (`__` is `/`, `_md` no suffix magic: names are taken as given) and returns the commit."""
        for name, text in files.items():
            path = self.folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "src" / "shop")


@pytest.fixture
def repos(tmp_path: Path) -> Iterator[Repos]:
    made = Repos(tmp_path / "mirrors")
    yield made
    made.close()


def polled(repos: Repos) -> list[RefChange]:
    """What moved, accepted at once."""
    changes = repos.poll()
    for change in changes:
        repos.accept(change)
    return changes


def test_a_push_is_told_until_it_is_accepted(repos: Repos, source: Source) -> None:
    first = source.commit(a="1")
    repos.watch("shop", str(source.folder))
    new = RefChange(repository="shop", ref="refs/heads/main", before="", after=first)
    assert repos.poll() == repos.poll() == [new]
    assert new.branch == "main"
    polled(repos)
    assert repos.poll() == []
    second = source.commit(a="2")
    assert polled(repos) == [RefChange(repository="shop", ref="refs/heads/main", before=first, after=second)]
    assert repos.seen("shop") == {"refs/heads/main": second}


def test_what_was_seen_before_a_restart_is_not_told_again(repos: Repos, source: Source, tmp_path: Path) -> None:
    source.commit(a="1")
    repos.watch("shop", str(source.folder))
    polled(repos)
    source.commit(a="2")
    again = Repos(tmp_path / "other")
    again.watch("shop", str(source.folder), seen=repos.seen("shop"))
    assert [change.before for change in polled(again)] == [repos.seen("shop")["refs/heads/main"]]
    again.close()


def test_branches_tags_deletions_and_forced_pushes(repos: Repos, source: Source) -> None:
    first = source.commit(a="1")
    repos.watch("shop", str(source.folder))
    polled(repos)
    source.git("branch", "feature/one")
    source.git("tag", "-a", "v1", "-m", "first")
    source.git("tag", "of-a-tree", "HEAD^{tree}")
    assert [(one.ref, one.after) for one in polled(repos)] == [
        ("refs/heads/feature/one", first),
        ("refs/tags/v1", first),
    ]
    source.git("branch", "-D", "feature/one")
    source.git("commit", "-q", "--amend", "-m", "other")
    source.git("pack-refs", "--all")
    amended = source.git("rev-parse", "HEAD")
    assert polled(repos) == [
        RefChange(repository="shop", ref="refs/heads/feature/one", before=first, after=""),
        RefChange(repository="shop", ref="refs/heads/main", before=first, after=amended, forced=True),
    ]
    assert repos.read("shop", first, "a") == b"1", "a commit that was pushed over can still be read"


def test_a_bare_source_and_one_named_without_git(repos: Repos, source: Source, tmp_path: Path) -> None:
    bare = Source(tmp_path / "hub" / "shop.git", bare=True)
    commit = source.commit(a="1")
    source.git("push", "-q", str(bare.folder), "main")
    repos.watch("bare", str(bare.folder))
    repos.watch("short", str(tmp_path / "hub" / "shop"))
    repos.watch("url", f"file://{bare.folder}")
    assert {(one.repository, one.after) for one in polled(repos)} == {
        ("bare", commit),
        ("short", commit),
        ("url", commit),
    }


def test_a_work_tree_beside_its_repository(repos: Repos, source: Source, tmp_path: Path) -> None:
    source.commit(a="1")
    source.git("worktree", "add", "-q", str(tmp_path / "tree"), "-b", "side")
    repos.watch("shop", str(tmp_path / "tree"))
    assert [change.branch for change in polled(repos)] == ["main", "side"]


def test_an_empty_repository_and_one_that_comes_later(repos: Repos, source: Source, tmp_path: Path) -> None:
    repos.watch("shop", str(source.folder))
    repos.watch("later", str(tmp_path / "later"))
    assert repos.poll() == []
    assert "is no Git repository" in repos.faults()["later"]
    assert repos.default_branch("shop") == ""
    with pytest.raises(NotFound, match="not fetched yet"):
        repos.refs("later")
    Source(tmp_path / "later").commit(a="1")
    assert [change.repository for change in polled(repos)] == ["later"]
    assert repos.faults() == {}


def test_a_poll_that_finds_nothing_is_cheap(repos: Repos, source: Source) -> None:
    source.commit(a="1")
    for number in range(20):
        source.git("branch", f"b{number}")
    repos.watch("shop", str(source.folder))
    polled(repos)
    mirror = repos.path("shop")
    before = sorted((file, file.stat().st_mtime_ns) for file in mirror.rglob("*"))
    assert [polled(repos) for _ in range(20)] == [[]] * 20
    assert sorted((file, file.stat().st_mtime_ns) for file in mirror.rglob("*")) == before, "nothing was fetched"


def test_reading(repos: Repos, source: Source) -> None:
    first = source.commit("One\n\nWith a body", a="1", docs__x="x", docs__y="ä")
    (source.folder / "link").symlink_to("a")
    source.git("mv", "a", "b")
    second = source.commit("Two", docs__x="changed")
    repos.watch("shop", str(source.folder))
    polled(repos)
    assert repos.read("shop", second, "docs/y") == "ä".encode()
    assert repos.list_files("shop", second) == ["b", "docs/x", "docs/y"]
    assert repos.list_files("shop", first, "docs/") == ["docs/x", "docs/y"]
    assert repos.changed_paths("shop", first, second) == ["a", "b", "docs/x", "link"]
    assert repos.changed_paths("shop", "", first) == ["a", "docs/x", "docs/y"]
    log = repos.log("shop", second)
    assert [(one.subject, one.author, one.email) for one in log] == [
        ("Two", "Maria", "maria@example.com"),
        ("One", "Maria", "maria@example.com"),
    ]
    assert [one.id for one in repos.log("shop", second, first)] == [second]
    assert len(repos.log("shop", second, limit=1)) == 1
    assert len(repos.log("shop", second, "0" * 40)) == 2
    assert abs(log[0].time.timestamp() - time.time()) < 600 and log[0].parents == (first,)
    assert repos.resolve("shop", "main") == repos.resolve("shop", second[:9]) == second
    assert repos.default_branch("shop") == "main"
    files = repos.files("shop", second)
    assert files["b"] == b"1" and "a" not in files and len(files) == 3


@pytest.mark.parametrize(
    "ask",
    [
        lambda repos: repos.read("shop", "main", "nothing"),
        lambda repos: repos.read("shop", "nowhere", "a"),
        lambda repos: repos.resolve("shop", ""),
        lambda repos: repos.resolve("shop", "main^{tree}"),
        lambda repos: repos.log("shop", "f" * 40),
        lambda repos: repos.path("other"),
    ],
)
def test_what_is_not_there_is_not_found(repos: Repos, source: Source, ask: object) -> None:
    source.commit(a="1")
    repos.watch("shop", str(source.folder))
    polled(repos)
    with pytest.raises(NotFound):
        ask(repos)  # type: ignore[operator]


def _hub(source: Source, tmp_path: Path) -> Source:
    """A bare repository with `source` pushed to it."""
    hub = Source(tmp_path / "hub" / "shop.git", bare=True)
    source.git("remote", "add", "hub", str(hub.folder))
    source.git("push", "-q", "hub", "main")
    return hub


def edit(repos: Repos, old: str, new: str, **options: str) -> str:
    return repos.edit(
        "shop", "conf.yaml", lambda text: text.replace(old, new), message="Set it", author=("Jonas", "jonas@example.com"), **options
    )  # fmt: skip


def test_an_edit_is_a_commit_that_is_pushed(repos: Repos, source: Source, tmp_path: Path) -> None:
    base = source.commit(conf_yaml="x", **{"conf.yaml": "a: 1 # one\n"})
    hub = _hub(source, tmp_path)
    repos.watch("shop", str(hub.folder))
    polled(repos)
    commit = edit(repos, "1", "2", base=base)
    assert hub.git("show", "main:conf.yaml") == "a: 2 # one"
    assert hub.git("log", "-1", "--format=%an %s", "main") == "Jonas Set it"
    assert [(one.before, one.after) for one in polled(repos)] == [(base, commit)]


def test_an_edit_goes_on_top_of_a_commit_that_left_the_file_alone(repos: Repos, source: Source, tmp_path: Path) -> None:
    base = source.commit(**{"conf.yaml": "a: 1\n"})
    hub = _hub(source, tmp_path)
    repos.watch("shop", str(hub.folder))
    polled(repos)
    source.commit(other="1")
    source.git("push", "-q", "hub", "main")
    edit(repos, "1", "2", base=base)
    assert hub.git("log", "--format=%s", "main").splitlines() == ["Set it", "change", "change"]


def test_an_edit_of_what_has_changed_since_is_a_conflict(repos: Repos, source: Source, tmp_path: Path) -> None:
    base = source.commit(**{"conf.yaml": "a: 1\n"})
    hub = _hub(source, tmp_path)
    repos.watch("shop", str(hub.folder))
    polled(repos)
    source.commit(**{"conf.yaml": "a: 3\n"})
    source.git("push", "-q", "hub", "main")
    with pytest.raises(Conflict, match="has changed since"):
        edit(repos, "3", "2", base=base)
    with pytest.raises(Conflict, match="already says that"):
        edit(repos, "nothing", "2")
    assert hub.git("show", "main:conf.yaml") == "a: 3"


def test_a_push_between_reading_and_pushing_is_a_conflict(repos: Repos, source: Source, tmp_path: Path) -> None:
    source.commit(**{"conf.yaml": "a: 1\n"})
    hub = _hub(source, tmp_path)
    repos.watch("shop", str(hub.folder))
    polled(repos)

    def change(text: str) -> str:
        source.commit(other="1")
        source.git("push", "-q", "hub", "main")
        return text.replace("1", "2")

    with pytest.raises(Conflict, match="has moved on"):
        repos.edit("shop", "conf.yaml", change, message="Set it", author=("Jonas", "jonas@example.com"))
    assert hub.git("show", "main:conf.yaml") == "a: 1"


def test_an_edit_of_a_branch_that_is_checked_out_says_what_to_do(repos: Repos, source: Source) -> None:
    source.commit(**{"conf.yaml": "a: 1\n"})
    repos.watch("shop", str(source.folder))
    polled(repos)
    with pytest.raises(Conflict, match=r"receive\.denyCurrentBranch updateInstead"):
        edit(repos, "1", "2")
    source.git("config", "receive.denyCurrentBranch", "updateInstead")
    edit(repos, "1", "2")
    assert (source.folder / "conf.yaml").read_text() == "a: 2\n"


def test_hooks_and_configuration_of_the_machine_do_nothing(source: Source, tmp_path: Path) -> None:
    source.commit(a="1")
    hook = tmp_path / "hooks" / "reference-transaction"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    repos = Repos(tmp_path / "mirrors")
    repos.watch("shop", str(source.folder))
    polled(repos)
    run_git("config", "core.hooksPath", str(hook.parent), folder=repos.path("shop"))
    source.commit(a="2")
    assert len(polled(repos)) == 1
    assert not (tmp_path / "ran").exists()
    repos.close()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("--upload-pack=touch /tmp/x", "no Git URL"),
        ("ext::sh -c touch% /tmp/x", "no Git URL"),
        ("", "no Git URL"),
        ("ftp://x/y", "has the protocol ftp"),
        ("https://maria:hunter22@example.com/x.git", "https://example.com/x.git holds a password"),
    ],
)
def test_urls_that_are_refused(repos: Repos, url: str, expected: str) -> None:
    with pytest.raises(Invalid) as caught:
        repos.watch("shop", url)
    assert expected in str(caught.value) and "hunter22" not in str(caught.value)


def test_a_name_that_would_leave_the_folder(repos: Repos) -> None:
    for name in ("..", "a/b", ""):
        with pytest.raises(Invalid):
            repos.watch(name, "/tmp/x")


def test_credentials_reach_the_server_and_nothing_else(tmp_path: Path) -> None:
    with git_door() as door, pytest.raises(UserError) as caught:
        run_git("ls-remote", "--", door.url, folder=tmp_path, url=door.url, credentials=lambda _: ("maria", "hunter22"))
    assert "Basic bWFyaWE6aHVudGVyMjI=" in door.seen
    assert "hunter22" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_remote_is_asked_in_the_background_and_holds_up_nothing(tmp_path: Path, source: Source) -> None:
    now = [100.0]
    repos = Repos(tmp_path / "mirrors", monotonic=lambda: now[0])
    source.commit(a="1")
    repos.watch("gone", "http://127.0.0.1:9/x.git")
    repos.watch("shop", str(source.folder))
    assert [change.repository for change in polled(repos)] == ["shop"]
    repos.close()
    assert "git fetch http://127.0.0.1:9/x.git" in repos.faults()["gone"]


@pytest.mark.parametrize(
    ("url", "base", "expected"),
    [
        ("../storefront", "/srv/ops", "/srv/storefront"),
        ("../storefront", "https://example.com/team/ops.git", "https://example.com/team/storefront"),
        ("../storefront", "git@example.com:team/ops.git", "git@example.com:team/storefront"),
        ("./sub", "/srv/ops", "/srv/ops/sub"),
        ("https://x/y", "/srv/ops", "https://x/y"),
        ("/a", "/srv/ops", "/a"),
    ],
)
def test_relative_urls(url: str, base: str, expected: str) -> None:
    assert resolve_url(url, base) == expected


def test_names_of_repositories() -> None:
    urls = ("/srv/shop.git", "https://x/team/shop", "git@x:shop.git", "../shop/")
    assert {repository_name(url) for url in urls} == {"shop"}
    assert shown_url("https://maria:x@example.com/a") == "https://example.com/a"


CONF = """\
# Where it runs.
---
spec:
    tier: "staging"   # not production
    services:
      - service: storefront
        env: {A: '1', B: 2}

      - service: inventory
    long: >-
      folded text
      goes on
---
other: [1, 2,   3]
"""


def test_a_yaml_edit_changes_one_line() -> None:
    after = edit_yaml(CONF, ("spec", "services", 1, "service"), "stock")
    assert _lines(CONF, after) == [("      - service: inventory", "      - service: stock")]


def test_what_a_yaml_edit_may_not_do_it_refuses() -> None:
    with pytest.raises(UserError, match="line 2|:2:"):
        edit_yaml("a: 1\n b: 2\n", ("a",), 1)
    anchored = "a: &x {n: 1}\nb: *x\n"
    assert edit_yaml(anchored, ("a", "n"), 2) == "a: &x {n: 2}\nb: *x\n"


@pytest.mark.parametrize(
    "value", ["yes", "012", "a: b", "- x", "#x", " x ", "", "é", "it's", 'say "x"', "a\nb", "null", 7, True, None, 1.5]
)
@pytest.mark.parametrize("old", ["plain", "'single'", '"double"'])
def test_scalars_are_written_so_that_they_read_back(old: str, value: object) -> None:
    after = edit_yaml(f"# top\n\na:   {old}   # why\nb: [1,   2]\n", ("a",), value)
    assert load_documents(after, "x.yaml")[0][0].value == {"a": value, "b": [1, 2]}
    assert after.startswith("# top\n\na:   ") and after.endswith("   # why\nb: [1,   2]\n")


def test_other_documents_keep_their_text() -> None:
    after = edit_yaml(CONF, ("more",), [1], document=1)
    assert after == CONF.replace("3]\n", "3]\nmore:\n- 1\n").replace("2,   3", "2, 3")
    assert edit_yaml(CONF, ("spec", "new"), 1).startswith("# Where it runs.\n---\nspec:\n")


@pytest.mark.parametrize(
    "text",
    [
        "a:\n- b: 1\n  c: 2\n- b: 2\n",
        "a:\n  - b: 1\n    c: 2\n",
        "a:\n    - b: 1\n      c: 2\n",
        "a:\n   -   b: 1\n       c: 2\n",
    ],
)
def test_lists_keep_their_own_indent(text: str) -> None:
    after = edit_yaml(text, ("a", 0, "b"), 7)
    assert after == text.replace("b: 1", "b: 7")


def test_yaml_edits_make_append_and_remove() -> None:
    assert edit_yaml("a: 1\n", ("b", "c"), "x") == "a: 1\nb:\n  c: x\n"
    assert edit_yaml("a:\n  - 1\n", ("a", 1), 2) == "a:\n  - 1\n  - 2\n"
    assert edit_yaml("a:\n  - 1\n  - 2\nb: 3 # x\n", ("a", 0), REMOVE) == "a:\n  - 2\nb: 3 # x\n"
    assert edit_yaml("a: 1\nb: 2", ("a",), REMOVE) == "b: 2"
    with pytest.raises(NotFound):
        edit_yaml("a: [1]\n", ("a", 5), 1)
    with pytest.raises(NotFound):
        edit_yaml("a: 1\n", ("a",), 1, document=2)
    with pytest.raises(Conflict):
        edit_yaml("a: 1\n", ("a", "b"), 1)


_KEYS = st.sampled_from(["a", "b", "name"])
_TREES = st.recursive(
    st.integers(0, 99) | st.sampled_from(["x", "a b", "yes", "'q'"]),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(_KEYS, inner, min_size=1),
    max_leaves=8,
)


@given(st.dictionaries(_KEYS, _TREES, min_size=1), st.integers(0, 4), st.booleans())
def test_an_edit_reads_back_and_leaves_the_rest(tree: dict[str, object], indent: int, dashes_in: bool) -> None:
    import io

    import ruamel.yaml

    writer = ruamel.yaml.YAML()
    writer.indent(mapping=indent + 1, sequence=indent + 3 if dashes_in else 2, offset=indent + 1 if dashes_in else 0)
    out = io.StringIO()
    writer.dump({**tree, "last": 1}, out)
    after = edit_yaml(out.getvalue(), ("last",), 2)
    assert load_documents(after, "x.yaml")[0][0].value == {**_normal(out.getvalue()), "last": 2}


def _normal(text: str) -> dict[str, object]:
    value: dict[str, object] = load_documents(text, "x.yaml")[0][0].value
    return value


def _lines(before: str, after: str) -> list[tuple[str, str]]:
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    return [(old, new) for old, new in pairs if old != new]


def test_checked_urls() -> None:
    for url in ("/a", "../a", "https://x/y", "ssh://git@x/y", "git@x:y", "file:///a"):
        check_url(url)
