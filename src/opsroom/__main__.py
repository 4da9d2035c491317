"""`opsroom` and `python -m opsroom`: the command line, given the one thing it cannot import, the composed server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsroom.kernel.settings import Settings


def main() -> int:
    """Runs the command line. Help alone needs no library, so it is answered before any is loaded."""
    arguments = sys.argv[1:]
    if arguments in (["--help"], ["-h"], ["help"]):
        from opsroom.surfaces.cli.contents import SECTIONS
        from opsroom.surfaces.cli.index import render

        print(render(SECTIONS))
        return 0
    if arguments == ["--version"]:
        from opsroom import __version__

        print(f"opsroom {__version__}")
        return 0
    from opsroom.surfaces.cli.root import main as command_line

    return command_line(arguments, serve=_serve)


def _serve(settings: Settings) -> None:
    from opsroom.app.serving import serve

    serve(settings)


if __name__ == "__main__":
    sys.exit(main())
