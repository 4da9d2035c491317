"""The pages of the documentation hold: commands exist with these options, links lead somewhere, examples print what they say."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from opsroom.surfaces.cli.root import Root
from opsroom.workflows.syntax import read_workflow

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md"]
BY_HAND = [page for page in PAGES if "<!-- Written by" not in page.read_text()]
_COMMAND = re.compile(
    r"^(?: {4,}|\$ )(?:\.venv/bin/)?opsroom ([a-z].*)$|`(?:\.venv/bin/)?opsroom ([a-z][^`…]*)`", re.MULTILINE
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands() -> Iterator[tuple[str, str]]:
    for page in BY_HAND:
        for found in _COMMAND.finditer(page.read_text()):
            yield page.name, (found[1] or found[2]).partition(" && ")[0]


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in dict.fromkeys(_LINK.findall(page.read_text())):
            if not target.startswith(("http://", "https://")):
                yield page, target


def examples() -> Iterator[tuple[str, str]]:
    for page in BY_HAND:
        for block in _CONSOLE.findall(page.read_text()):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                yield command, output


@pytest.mark.parametrize("command", sorted({command for _, command in commands()}))
def test_a_command_exists_with_its_options(command: str) -> None:
    """It is parsed as it would be when given, and not carried out."""
    words = shlex.split(command)
    context = click.Context(Root("opsroom"))
    found: click.Command = context.command
    while isinstance(found, click.Group) and words:
        name = words.pop(0)
        inner = found.get_command(context, name)
        assert inner is not None, f"there is no command {name!r}"
        found = inner
    if words:
        found.make_context("opsroom", words)


@pytest.mark.parametrize(("page", "target"), list(links()), ids=lambda it: it.name if isinstance(it, Path) else it)
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    path, _, heading = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if file == ROOT / "docs" / "images" / "overview.png" or file == ROOT / "docs" / "benchmarks.md":
        pytest.skip(f"{file.name} is made from the running product") if not file.exists() else None
    assert file.exists(), f"{page.name} links to {target}"
    if heading:
        assert heading in {_anchor(text) for text in _HEADING.findall(file.read_text())}, f"{page.name}: {target}"


@pytest.mark.parametrize(("command", "output"), list(examples()), ids=[command for command, _ in examples()])
def test_an_example_prints_what_it_says(command: str, output: str) -> None:
    words = shlex.split(command)
    assert words[0] == "opsroom"
    done = subprocess.run(
        [sys.executable, "-m", "opsroom", *words[1:]], cwd=ROOT, env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.stdout == output, done.stderr


def test_the_mistakes_that_the_syntax_page_shows_are_told_so() -> None:
    page = (ROOT / "docs" / "reference" / "workflow-syntax.md").read_text()
    text = next(block for block in _YAML.findall(page) if "timeout-minutes: ten" in block)
    workflow, problems = read_workflow(text, ".github/workflows/ci.yml")
    assert workflow is None and f"```\n{problems[0]}\n```" in page
    workflow, problems = read_workflow(text.replace("ten", "10"), ".github/workflows/ci.yml")
    assert workflow is not None and not problems
    assert f"```\n{workflow.unsupported[0]}\n```" in page


@pytest.mark.parametrize(
    "text", [block for page in BY_HAND for block in _YAML.findall(page.read_text()) if "\njobs:" in block]
)
def test_a_workflow_in_the_docs_is_one(text: str) -> None:
    workflow, problems = read_workflow(text.replace("timeout-minutes: ten", ""), "docs.yml")
    assert workflow is not None, problems


@pytest.mark.slow
def test_the_first_steps_write_an_ops_repo_whose_workflow_runs(tmp_path: Path) -> None:
    """`opsroom init`, `git commit` and `opsroom run --skip-plane-actions`, as docs/guides/first-steps.md has them."""
    opsroom = [sys.executable, "-m", "opsroom"]
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def do(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    assert do(*opsroom, "init", "my-ops", folder=tmp_path).returncode == 0
    repository = tmp_path / "my-ops"
    for words in (("init", "-b", "main"), ("add", "."), ("commit", "-m", "Our ops repo")):
        done = do("git", "-c", "user.name=me", "-c", "user.email=me@example.com", *words, folder=repository)
        assert done.returncode == 0, done.stderr
    ran = do(*opsroom, "run", "--skip-plane-actions", "--unsandboxed", folder=repository)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _anchor(heading: str) -> str:
    """As GitHub makes it: lower case, without punctuation, blanks as hyphens."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
