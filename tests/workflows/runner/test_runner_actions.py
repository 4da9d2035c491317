"""Built-in actions: checkout, artifacts, caches, Python; and that none of them follows a job out of its folders."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from opsroom.kernel.blobs import Blobs
from opsroom.workflows.protocol import Source
from opsroom.workflows.runner.actions.setup_python import fits
from opsroom.workflows.runner.globs import translate

Run = Any


def git(folder: Path, *words: str) -> str:
    config = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", *config, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits on main, and changes that are not committed."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "app.py").write_text("print('one')\n")
    (folder / "old.txt").write_text("old\n")
    (folder / ".gitignore").write_text("ignored/\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    git(folder, "tag", "v1")
    (folder / "app.py").write_text("print('two')\n")
    git(folder, "commit", "-qam", "two")
    (folder / "app.py").write_text("print('changed')\n")
    (folder / "new file.txt").write_text("new\n")
    (folder / "old.txt").unlink()
    (folder / "ignored").mkdir()
    (folder / "ignored" / "x").write_text("x")
    return folder


def source(folder: Path, *, working: bool = False) -> Source:
    return Source(
        git=str(folder / ".git"), commit=git(folder, "rev-parse", "HEAD"), folder=str(folder) if working else ""
    )


def test_checkout_of_a_commit(run: Run, repository: Path) -> None:
    said = run(
        [
            {"id": "co", "uses": "actions/checkout@v4"},
            "python3 app.py; git log --oneline | wc -l; git rev-parse --abbrev-ref HEAD; git status --short; touch mine; ls -A",
        ],
        source=source(repository),
    )
    assert said.end["conclusion"] == "success", said.log
    lines = said.out.split()
    assert lines[3:] == ["two", "1", "main", ".git", ".gitignore", "app.py", "mine", "old.txt"], said.out
    assert said.steps["co"]["outputs"]["commit"] == git(repository, "rev-parse", "HEAD")
    assert str(repository) not in said.out


def test_checkout_of_a_ref_with_history_below_a_path(run: Run, repository: Path) -> None:
    said = run(
        [
            {"uses": "actions/checkout@v4", "with": {"ref": "v1", "fetch-depth": 0, "path": "src/it"}},
            "cd src/it; python3 app.py; git tag; git branch -r",
        ],
        source=source(repository, working=True),
    )
    assert said.out.split()[3:] == ["one", "v1", "origin/main"], said.out


def test_checkout_of_a_working_copy(run: Run, repository: Path) -> None:
    said = run([{"uses": "actions/checkout@v4"}, "python3 app.py; ls"], source=source(repository, working=True))
    assert said.out.split("\n")[1:] == ["changed", "app.py", "new file.txt"]


def test_checkout_of_a_plain_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a").write_text("a")
    said = run([{"uses": "actions/checkout@v4"}, "ls"], source=Source(folder=str(tmp_path / "plain")))
    assert said.out.split("\n")[-1] == "a"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"repository": "other/one"}, "not the run's own"),
        ({"ref": "nope"}, "ref 'nope' is not in the repository"),
        ({"path": "../out"}, "leaves the workspace"),
        ({"path": "/etc"}, "is outside of the job"),
        ({"fetch-depth": "many"}, "fetch-depth is 'many'"),
    ],
)
def test_checkout_refuses(run_plain: Run, repository: Path, given: dict[str, str], error: str) -> None:
    said = run_plain([{"id": "co", "uses": "actions/checkout@v4", "with": given}], source=source(repository))
    assert error in said.steps["co"]["error"]


def test_a_job_cannot_lend_git_its_hooks_or_configuration(run: Run, repository: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trapped"
    said = run(
        [
            f"""
                git init -q .; printf '#!/bin/sh\\ntouch {trap}' > .git/hooks/post-checkout; chmod +x .git/hooks/post-checkout
                git config core.fsmonitor 'touch {trap}'; git config filter.x.smudge 'touch {trap}'
            """,
            {"id": "co", "uses": "actions/checkout@v4"},
            "python3 app.py",
        ],
        source=source(repository),
    )
    assert said.steps["co"]["outcome"] == "success" and said.out.endswith("two")
    assert not trap.exists()


def test_a_job_cannot_aim_a_checkout_elsewhere(run: Run, repository: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    said = run(
        [f"ln -s {outside} out", {"id": "co", "uses": "actions/checkout@v4", "with": {"path": "out/x"}}],
        source=source(repository),
    )
    assert "leaves the workspace" in said.steps["co"]["error"]
    assert (outside / "precious").exists()


def artifacts(folder: Path) -> dict[str, str]:
    return {"artifacts": str(folder / "artifacts")}


def test_artifacts_go_from_job_to_job(run: Run, tmp_path: Path) -> None:
    steps = [
        "mkdir -p dist/sub .hid; echo a > dist/a.txt; echo b > dist/sub/b.sh; chmod +x dist/sub/b.sh; echo h > dist/.hidden; echo r > report.xml; ln -s a.txt dist/link",
        {"id": "one", "uses": "actions/upload-artifact@v4", "with": {"name": "dist", "path": "dist"}},
        {
            "id": "two",
            "uses": "actions/upload-artifact@v4",
            "with": {"name": "mixed", "path": "dist/**/*.sh\nreport.xml\n!dist/a.txt"},
        },
        {"id": "again", "uses": "actions/upload-artifact@v4", "with": {"name": "dist", "path": "dist"}},
    ]
    said = run(steps, **artifacts(tmp_path))
    events = {one["name"]: one for one in said.of("artifact")}
    assert events["dist"]["files"] == 2 and events["mixed"]["files"] == 2
    assert Blobs(tmp_path / "artifacts" / "blobs").size(events["dist"]["digest"]) == events["dist"]["size"]
    assert said.steps["one"]["outputs"]["artifact-digest"] == events["dist"]["digest"].removeprefix("sha256:")
    assert "exists in this run already" in said.steps["again"]["error"]
    shutil.rmtree(tmp_path / "job")
    later = run(
        [
            {"uses": "actions/download-artifact@v4", "with": {"name": "dist", "path": "in"}},
            {"uses": "actions/download-artifact@v4", "with": {"path": "all"}},
            {"id": "none", "uses": "actions/download-artifact@v4", "with": {"name": "nope"}, "continue-on-error": True},
            "find in all -type f -o -type l | sort; test -x in/sub/b.sh",
        ],
        **artifacts(tmp_path),
    )
    assert "there are dist, mixed" in later.steps["none"]["error"]
    wanted = ["all/dist/a.txt", "all/dist/link", "all/dist/sub/b.sh", "all/mixed/dist/sub/b.sh", "all/mixed/report.xml"]
    assert [line for line in later.out.split("\n") if line.startswith(("all/", "in/"))] == [
        *wanted,
        "in/a.txt",
        "in/link",
        "in/sub/b.sh",
    ]


def upload(text: str, **more: Any) -> list[dict[str, Any] | str]:
    return [f"echo {text} > f", {"id": "up", "uses": "actions/upload-artifact@v4", "with": {"path": "f", **more}}]


def kept(folder: Path) -> bytes:
    digest = json.loads((folder / "artifacts" / "names" / "artifact.json").read_text())["digest"]
    return Blobs(folder / "artifacts" / "blobs").read(digest)


def test_a_step_done_again_replaces_what_it_kept(run_plain: Run, tmp_path: Path) -> None:
    """As after a kill between keeping the artefact and saying that the step has finished."""
    for text in ("first", "second"):
        said = run_plain(upload(text), **artifacts(tmp_path))
        assert said.steps["up"]["conclusion"] == "success", said.everything
    assert b"second" in kept(tmp_path) and b"first" not in kept(tmp_path)
    assert [path.name for path in (tmp_path / "artifacts" / "names").iterdir()] == ["artifact.json"]


class Killed(BaseException):
    """The runner dies here: nothing that catches errors may catch it."""


@pytest.mark.parametrize("word", ["artifact", "step.finished"])
def test_an_upload_that_was_cut_off_is_done_again(run_plain: Run, tmp_path: Path, heard: Any, word: str) -> None:
    """Killed when the artefact is kept, and nobody was told that the step has finished."""

    def die(type: str, data: Any) -> None:
        if type == word and data.get("index", 1) == 1:
            raise Killed

    with pytest.raises(Killed):
        run_plain(upload("x"), said=heard(hear=die), **artifacts(tmp_path))
    assert b"x" in kept(tmp_path)
    said = run_plain(upload("x"), start_at=1, step_attempt=2, **artifacts(tmp_path))
    assert said.steps["up"]["conclusion"] == "success" and len(said.of("artifact")) == 1


def test_a_name_is_one_steps_in_an_attempt(run_plain: Run, tmp_path: Path) -> None:
    run_plain(upload("one"), **artifacts(tmp_path))
    other_job = run_plain(upload("two"), job="test", **artifacts(tmp_path))
    assert "exists in this run already (job build, step 2); choose another" in other_job.steps["up"]["error"]
    other_step = run_plain(["true", *upload("three")], **artifacts(tmp_path))
    assert "exists in this run already" in other_step.steps["up"]["error"]
    assert b"one" in kept(tmp_path)
    told = run_plain(upload("four", overwrite=True), job="test", **artifacts(tmp_path))
    assert told.steps["up"]["conclusion"] == "success" and b"four" in kept(tmp_path)
    back = run_plain(upload("five"), **artifacts(tmp_path))
    assert "job test, step 2" in back.steps["up"]["error"]


def test_a_later_attempt_takes_the_name_over(run_plain: Run, tmp_path: Path) -> None:
    run_plain(upload("one"), **artifacts(tmp_path))
    again = run_plain(upload("two"), attempt=2, **artifacts(tmp_path))
    assert again.steps["up"]["conclusion"] == "success" and b"two" in kept(tmp_path)
    other = run_plain(upload("three"), attempt=3, job="test", **artifacts(tmp_path))
    assert other.steps["up"]["conclusion"] == "success" and b"three" in kept(tmp_path)
    late = run_plain(upload("four"), attempt=2, **artifacts(tmp_path))
    assert "exists in this run already" in late.steps["up"]["error"]


def test_steps_of_one_composite_action_own_their_names_apart(run_plain: Run, tmp_path: Path) -> None:
    action = "name: act\nruns: {using: composite, steps: [%s, %s]}" % (
        ("{uses: actions/upload-artifact@v4, with: {path: f}}",) * 2
    )
    steps = [f"mkdir act; echo '{action}' > act/action.yml; echo x > f", {"id": "up", "uses": "./act"}]
    said = run_plain(steps, **artifacts(tmp_path))
    assert "exists in this run already" in said.steps["up"]["error"]


def test_an_artifact_of_an_older_release_is_read_and_owned_by_nobody(run_plain: Run, tmp_path: Path) -> None:
    run_plain(upload("one"), **artifacts(tmp_path))
    note = tmp_path / "artifacts" / "names" / "artifact.json"
    note.write_text(json.dumps({key: value for key, value in json.loads(note.read_text()).items() if key != "owner"}))
    said = run_plain(
        [
            *upload("two"),
            {"if": "always()", "uses": "actions/download-artifact@v4", "with": {"name": "artifact", "path": "in"}},
            {"if": "always()", "run": "cat in/f"},
        ],
        **artifacts(tmp_path),
    )
    assert "exists in this run already; choose" in said.steps["up"]["error"] and "one" in said.out


def test_the_same_files_have_the_same_digest(run_plain: Run, tmp_path: Path) -> None:
    digests = set()
    for number, make in enumerate(
        ["echo a > d/a; echo b > d/b", "echo b > d/b; sleep 0.01; echo a > d/a; touch -d 2001-01-01 d/a"]
    ):
        said = run_plain(
            [f"mkdir d; {make}", {"uses": "actions/upload-artifact@v4", "with": {"path": "d"}}],
            folder=tmp_path / f"job{number}",
            artifacts=str(tmp_path / f"artifacts{number}"),
        )
        digests |= {one["digest"] for one in said.of("artifact")}
    assert len(digests) == 1


def test_artifacts_hold_no_link_out_of_the_job(run: Run, tmp_path: Path) -> None:
    secret = tmp_path / "plane-secret"
    secret.write_text("plane-secret-value")
    said = run(
        [
            f"mkdir d; echo fine > d/fine; ln -s {secret} d/file; ln -s {tmp_path} d/folder; ln -s ../../../../etc/passwd d/up; ln -s {tmp_path} out",
            {"id": "ok", "uses": "actions/upload-artifact@v4", "with": {"name": "ok", "path": "d"}},
            {
                "id": "through",
                "uses": "actions/upload-artifact@v4",
                "with": {"name": "x", "path": "out"},
                "continue-on-error": True,
            },
            {
                "id": "up",
                "uses": "actions/upload-artifact@v4",
                "with": {"name": "y", "path": "../../"},
                "continue-on-error": True,
            },
            {
                "id": "abs",
                "uses": "actions/upload-artifact@v4",
                "with": {"name": "z", "path": "/etc/passwd"},
                "continue-on-error": True,
            },
        ],
        **artifacts(tmp_path),
    )
    (event,) = said.of("artifact")
    assert event["files"] == 1
    assert b"plane-secret-value" not in Blobs(tmp_path / "artifacts" / "blobs").read(event["digest"])
    assert [said.steps[id]["outcome"] for id in ("ok", "through", "up", "abs")] == [
        "success",
        "failure",
        "failure",
        "failure",
    ]


def test_downloads_stay_in_the_job(run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    said = run(
        [
            f"mkdir d; echo x > d/evil; ln -s {outside} away",
            {"uses": "actions/upload-artifact@v4", "with": {"name": "d", "path": "d"}},
            f"rm -rf d; mkdir d; ln -s {outside}/evil d/evil",
            {
                "id": "into",
                "uses": "actions/download-artifact@v4",
                "with": {"name": "d", "path": "away"},
                "continue-on-error": True,
            },
            {"id": "over", "uses": "actions/download-artifact@v4", "with": {"name": "d", "path": "d"}},
        ],
        **artifacts(tmp_path),
    )
    assert said.steps["into"]["outcome"] == "failure"
    assert said.steps["over"]["outcome"] == "success"
    assert not list(outside.iterdir())


@pytest.mark.parametrize(
    ("wish", "outcome"), [("warn", "success"), ("ignore", "success"), ("error", "failure"), ("perhaps", "failure")]
)
def test_no_files_found(run_plain: Run, tmp_path: Path, wish: str, outcome: str) -> None:
    said = run_plain(
        [{"id": "a", "uses": "actions/upload-artifact@v4", "with": {"path": "none/*", "if-no-files-found": wish}}],
        **artifacts(tmp_path),
    )
    assert said.steps["a"]["outcome"] == outcome
    assert not said.of("artifact")


def test_caches(run: Run, tmp_path: Path) -> None:
    def job(key: str, ref: str = "refs/heads/main", make: str = "date +%N", fail: bool = False) -> Any:
        shutil.rmtree(tmp_path / "job", ignore_errors=True)
        return run(
            [
                {
                    "id": "c",
                    "uses": "actions/cache@v4",
                    "with": {"path": "~/.store\nbuild/out", "key": key, "restore-keys": "deps-\n"},
                },
                f"cat ~/.store/x build/out/y 2>/dev/null || :; mkdir -p ~/.store build/out; {make} > ~/.store/x; {make} > build/out/y; ln -sf /usr/bin/env build/out/env",
                *(["exit 1"] if fail else []),
            ],
            caches=str(tmp_path / "caches"),
            contexts={"github": {"ref": ref, "repository": "team/shop"}},
        )

    assert job("deps-0", fail=True).steps["c"]["outputs"]["cache-hit"] == ""
    first = job("deps-1", make="echo first")
    assert first.steps["c"]["outputs"] == {"cache-hit": "", "cache-primary-key": "deps-1", "cache-matched-key": ""}
    hit = job("deps-1", make="echo second")
    assert hit.steps["c"]["outputs"]["cache-hit"] == "true" and hit.out.split("\n")[1:3] == ["first", "first"]
    partial = job("deps-2", ref="refs/heads/feature", make="echo poison")
    assert partial.steps["c"]["outputs"] == {
        "cache-hit": "false",
        "cache-primary-key": "deps-2",
        "cache-matched-key": "deps-1",
    }
    other = job("deps-2", ref="refs/heads/other")
    assert other.steps["c"]["outputs"]["cache-matched-key"] == "deps-1", (
        "a branch sees its own caches and those of main"
    )
    assert job("deps-2").steps["c"]["outputs"]["cache-matched-key"] == "deps-1"


def test_setup_python(run: Run) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    said = run(
        [
            {"id": "py", "uses": "actions/setup-python@v5", "with": {"python-version": version}},
            "python -c 'import sys; print(sys.version_info[:2])'; command -v python",
            {"id": "none", "uses": "actions/setup-python@v5", "with": {"python-version": "2.4"}},
        ]
    )
    assert said.steps["py"]["outputs"]["python-version"].startswith(version)
    assert str(tuple(sys.version_info[:2])) in said.out
    assert "no Python 2.4 on this machine; there are " in said.steps["none"]["error"]


@pytest.mark.parametrize(
    ("wish", "version", "fit"),
    [
        ("3.11", (3, 11, 7), True), ("3.1", (3, 11, 7), False), ("3.x", (3, 12, 0), True), (">=3.9 <3.12", (3, 11, 7), True),
        (">=3.9,<3.11", (3, 11, 7), False), ("~3.11.2", (3, 11, 7), True), ("~=3.9", (3, 11, 7), True), ("3", (3, 8, 1), True),
        ("^3.8", (3, 11, 0), True), (">3.11", (3, 11, 7), False), ("!=3.11.7", (3, 11, 7), False),
    ],
)  # fmt: skip
def test_versions(wish: str, version: tuple[int, ...], fit: bool) -> None:
    assert fits(wish, version) is fit


@pytest.mark.parametrize(
    ("pattern", "path", "match"),
    [
        ("*.py", "a.py", True), ("*.py", "x/a.py", False), ("**/*.py", "a.py", True), ("**/*.py", "x/y/a.py", True), ("dist", "dist/a/b", True),
        ("dist/", "dist/a", True), ("dist", "dist2/a", False), ("a?c", "abc", True), ("[ab]*/x", "b1/x", True), ("[!ab]*", "c", True),
        ("**", "any/thing", True), ("a/**/z", "a/z", True), ("a/**/z", "a/b/c/z", True), ("a+b.txt", "a+b.txt", True),
    ],
)  # fmt: skip
def test_patterns(pattern: str, path: str, match: bool) -> None:
    assert bool(translate(pattern).fullmatch(path)) is match


def test_caches_and_artifacts_say_where_there_is_no_store(run_plain: Run) -> None:
    said = run_plain(
        [
            {"id": "a", "uses": "actions/upload-artifact@v4", "with": {"path": "."}, "continue-on-error": True},
            {"id": "c", "uses": "actions/cache@v4", "with": {"path": ".", "key": "k"}},
        ]
    )
    assert "keeps no artifacts" in said.steps["a"]["error"] and "keeps no caches" in said.steps["c"]["error"]


def test_files_of_special_kinds_are_left_out(run_plain: Run, tmp_path: Path) -> None:
    said = run_plain(
        ["mkdir d; mkfifo d/pipe; echo x > d/x", {"uses": "actions/upload-artifact@v4", "with": {"path": "d"}}],
        **artifacts(tmp_path),
    )
    assert said.of("artifact")[0]["files"] == 1
