"""The root command: own commands and noun groups, each loaded only when it is used."""

from __future__ import annotations

import difflib
import errno
import importlib
import sys
from collections.abc import Callable, Sequence

import click

from opsroom.kernel.errors import Problems, UserError
from opsroom.surfaces.cli.contents import SECTIONS
from opsroom.surfaces.cli.index import OWN_COMMANDS, render

Serve = Callable[..., None]


class Root(click.Group):
    """Finds commands by the table of contents. `click.Context.obj` is the function that serves."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*OWN_COMMANDS, *modules_by_noun()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in OWN_COMMANDS:
            found: click.Command = getattr(
                importlib.import_module(OWN_COMMANDS[cmd_name][0]), cmd_name.replace("-", "_")
            )
            return found
        modules = modules_by_noun().get(cmd_name)
        if modules is None:
            return None
        from opsroom.surfaces.cli.commands import noun_group

        return noun_group(cmd_name, modules)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.list_commands(ctx) and not name.startswith("-"):
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f"did you mean {near[0]!r}?" if near else "`opsroom --help` lists what there is"
            raise click.UsageError(f"there is no command {name!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(render(SECTIONS) + "\n")


def main(arguments: Sequence[str], *, serve: Serve) -> int:
    """Runs the command line and returns its exit status: 0 done, 1 an error said in one line, 2 wrong usage, 130 interrupted."""
    root = Root("opsroom", no_args_is_help=True)
    try:
        # Not standalone: click would print "Aborted!" and hide a UserError behind a traceback.
        result = root.main(list(arguments), prog_name="opsroom", standalone_mode=False, obj=serve)
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except UserError as error:
        _tell(error)
        return 1
    except BrokenPipeError:
        # Who read our output has gone (`opsroom events list | head`); closing would raise it again.
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115, PTH123
        return 0
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        click.echo(f"Error: {_of_the_system(error)}", err=True)
        return 1
    except (click.Abort, KeyboardInterrupt):
        return 130


_REFUSALS = {
    errno.EACCES: "name another place, or have its owner allow it",
    errno.EPERM: "name another place, or have its owner allow it",
    errno.EROFS: "name a place that can be written",
    errno.ENOSPC: "make room, or name a place on another disk",
    errno.EDQUOT: "make room, or name a place on another disk",
    errno.EEXIST: "name another place, or move what is there away",
    errno.ENOTDIR: "name another place, or move the file away",
    errno.EISDIR: "name a file",
}
"""What the system refuses because of how things stand there, and the way out; any other refusal is a bug of ours."""


def _of_the_system(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror}; {_REFUSALS[error.errno or 0]}"


def modules_by_noun() -> dict[str, tuple[str, ...]]:
    """The modules that declare operations of each noun; usually one."""
    found: dict[str, tuple[str, ...]] = {}
    for section in SECTIONS:
        for noun in section.nouns:
            found[noun.name] = (*found.get(noun.name, ()), noun.module)
    return found


def _tell(error: UserError) -> None:
    if isinstance(error, Problems):
        for problem in error.problems:
            click.echo(str(problem), err=True)
        return
    click.echo(f"Error: {error}", err=True)
