"""The user's fault against our bug: every error a user can mend is one line that names the thing, the value and the way out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something was written: a path relative to its repository, 1-based line and column (0: unknown)."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with something a user wrote: the place, what is wrong, and what would be right."""

    place: Place
    message: str
    way_out: str = ""

    def __str__(self) -> str:
        tail = f"; {self.way_out}" if self.way_out else ""
        return f"{self.place}: {self.message}{tail}"


class UserError(Exception):
    """An error the user can mend. `str()` is one line; `status` is the HTTP status (RFC 9110) it answers with."""

    status = 400
    title = "Bad request"


class Invalid(UserError):
    """What was given is malformed or breaks a rule (422)."""

    status = 422
    title = "Invalid"


class NotFound(UserError):
    """The named thing does not exist (404)."""

    status = 404
    title = "Not found"


class Conflict(UserError):
    """The thing is not in a state that allows this (409)."""

    status = 409
    title = "Conflict"


class Unauthenticated(UserError):
    """Nobody was named, or the proof does not hold (401)."""

    status = 401
    title = "Not signed in"


class Forbidden(UserError):
    """The actor is known and may not do this (403)."""

    status = 403
    title = "Not allowed"


class TooLarge(UserError):
    """A stated limit was passed (413)."""

    status = 413
    title = "Too large"


class Unavailable(UserError):
    """Something this needs is not there now (503); the message says what and what to do."""

    status = 503
    title = "Unavailable"


class MissingTool(Unavailable):
    """A program this needs is not installed; the message names it and the way to get it."""


class Problems(Invalid):
    """Several problems at once, in the order of their places."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))
