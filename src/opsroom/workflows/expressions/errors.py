"""What can be wrong with an expression, in GitHub's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from opsroom.kernel.errors import Invalid

FlawKind = Literal["lexing", "parsing", "evaluation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """One thing wrong. `message` is GitHub's text; `position` counts characters of the expression from 1 (0: the whole of it).

    `offset` is where the expression begins in the text that holds it (0 where the text is the expression itself).
    """

    kind: FlawKind
    message: str
    way_out: str = ""
    position: int = 0
    offset: int = 0


class ExpressionError(Invalid):
    """An expression that cannot be read or evaluated. `str()` is one line, `message` is exactly GitHub's."""

    title = "Invalid expression"

    def __init__(self, flaw: Flaw) -> None:
        self.flaw = flaw
        line = " ".join(flaw.message.split())
        super().__init__(f"{line}; {flaw.way_out}" if flaw.way_out else line)

    @property
    def kind(self) -> FlawKind:
        """Which stage refused it: lexing, parsing or evaluation."""
        return self.flaw.kind

    @property
    def message(self) -> str:
        """GitHub's words, which may hold the line breaks of the expression."""
        return self.flaw.message

    @property
    def position(self) -> int:
        """The character of the expression that is wrong, from 1; 0 where it is the whole."""
        return self.flaw.position


def located(kind: FlawKind, what: str, token: str, position: int, expression: str) -> Flaw:
    """A flaw at one token, worded as GitHub words it."""
    message = f"{what}: '{token}'. Located at position {position} within expression: {expression}"
    return Flaw(kind=kind, message=message, position=position)


def evaluation_error(message: str, way_out: str = "") -> ExpressionError:
    """An error of a well-formed expression over these values."""
    return ExpressionError(Flaw(kind="evaluation", message=message, way_out=way_out))
