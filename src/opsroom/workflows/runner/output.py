"""A step's output on its way into the log: cut into lines, workflow commands carried out, secrets hidden, size bounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opsroom.workflows.runner.commands import Command, is_resume, parse_command
from opsroom.workflows.runner.masks import Masks
from opsroom.workflows.runner.sink import Sink

LINE_LIMIT = 1 << 16
"""Characters of one line; what is over is cut, and said."""
_ANNOTATIONS = 50
"""Annotations of one level a step may make; further ones stand in the log alone."""
_DEPRECATED = "The `{name}` command is deprecated and will be disabled soon. Please upgrade to using Environment Files."
_DISABLED = "The `{name}` command is disabled. Please upgrade to using Environment Files."


class StepOutput:
    """Takes the bytes of one step. `outputs` and `state` collect what deprecated commands set; `error` tells of a command that
    fails the step ("" : none). `debug`: whether `::debug::` lines are shown."""

    def __init__(self, step: int, *, sink: Sink, masks: Masks, limit: int, debug: bool = False) -> None:
        self.outputs: dict[str, str] = {}
        self.state: dict[str, str] = {}
        self.error = ""
        self._step = step
        self._sink = sink
        self._masks = masks
        self._left = limit
        self._limit = limit
        self._debug = debug
        self._partial = b""
        self._skipping = False
        self._token = ""
        self._echo = False
        self._annotated: dict[str, int] = {}
        self._plain: list[str] = []

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes."""
        *lines, rest = (self._partial + chunk).split(b"\n")
        self._partial = rest
        if lines and self._skipping:
            lines, self._skipping = lines[1:], False
        if len(rest) > LINE_LIMIT:
            if not self._skipping:
                lines.append(rest)
                self._skipping = True
            self._partial = b""
        self._take(lines)

    def end(self) -> None:
        """The step is over: the last line may lack its end."""
        if self._partial and not self._skipping:
            self._take([self._partial])
        self._partial = b""

    def write(self, text: str, stream: str = "out") -> None:
        """A line that the runner itself adds, masked."""
        self._flush()
        self._sink.lines(self._step, self._masks.hide(text).split("\n"), stream)

    def annotate(self, level: str, message: str, properties: Mapping[str, str] | None = None) -> None:
        """A line of the level's stream, and an annotation event."""
        message = self._masks.hide(message)
        self.write(message, level)
        self._annotated[level] = self._annotated.get(level, 0) + 1
        if self._annotated[level] <= _ANNOTATIONS:
            self._sink.event("annotation", self._annotation(level, message, properties or {}))

    # -- lines

    def _take(self, lines: list[bytes]) -> None:
        if not lines:
            return
        raw = b"\n".join(lines)
        text = raw.decode("utf-8", "replace")
        if self._token or "::" in text or "##[" in text:
            for line in text.split("\n"):
                self._line(line.removesuffix("\r"))
        else:
            self._plain.extend(line.removesuffix("\r") for line in text.split("\n"))
        self._flush()

    def _line(self, line: str) -> None:
        if self._token:
            if is_resume(line, self._token):
                self._token = ""
            self._plain.append(line)
            return
        command = parse_command(line)
        if command is None:
            self._plain.append(line)
            return
        self._flush()
        if self._echo and command.name not in ("add-mask", "echo"):
            self.write(line, "command")
        _COMMANDS[command.name](self, command)

    def _flush(self) -> None:
        """Passes on the plain lines collected, as far as the limit allows."""
        lines, self._plain = self._plain, []
        if not lines or self._left <= 0:
            return
        kept: list[str] = []
        for line in lines:
            if len(line) > LINE_LIMIT:
                line = f"{line[:LINE_LIMIT]} [line cut after {LINE_LIMIT} characters]"
            self._left -= len(line) + 1
            if self._left <= 0:
                kept.append(f"[log cut: this step wrote more than {self._limit:,} bytes]")
                break
            kept.append(line)
        self._sink.lines(self._step, self._masks.hide("\n".join(kept)).split("\n"))

    # -- commands

    def _annotation(self, level: str, message: str, properties: Mapping[str, str]) -> dict[str, Any]:
        data: dict[str, Any] = {"step": self._step, "level": level, "message": message}
        for name, key in (("file", "file"), ("title", "title")):
            if properties.get(name):
                data[key] = self._masks.hide(properties[name])
        for name, key in (("line", "line"), ("col", "column"), ("endLine", "end_line"), ("endColumn", "end_column")):
            if properties.get(name, "").isdigit():
                data[key] = int(properties[name])
        return data

    def _annotated_line(self, command: Command) -> None:
        self.annotate(command.name, command.message, command.properties)

    def _show(self, command: Command) -> None:
        self.write(command.message, command.name)

    def _show_debug(self, command: Command) -> None:
        if self._debug:
            self.write(command.message, "debug")

    def _mask(self, command: Command) -> None:
        if not command.message.strip():
            self.annotate("warning", "Can't add secret mask for empty string in ##[add-mask] command.")
        self._masks.add(command.message)

    def _stop(self, command: Command) -> None:
        if not command.message or command.message.lower() in _COMMANDS:
            self._fail(f"::stop-commands:: needs a token of its own, not {command.message!r}; use a random one")
            return
        self._token = command.message

    def _set_echo(self, command: Command) -> None:
        word = command.message.strip().lower()
        if word not in ("on", "off"):
            self._fail(f"::echo:: takes on or off, not {command.message!r}")
        self._echo = word == "on"

    def _set_output(self, command: Command) -> None:
        self._set(command, self.outputs)

    def _save_state(self, command: Command) -> None:
        self._set(command, self.state)

    def _set(self, command: Command, values: dict[str, str]) -> None:
        name = command.properties.get("name", "")
        if not name:
            self._fail(f"::{command.name}:: needs a name; write ::{command.name} name=NAME::VALUE")
            return
        self.annotate("warning", _DEPRECATED.format(name=command.name))
        values[name] = command.message

    def _disabled(self, command: Command) -> None:
        self._fail(_DISABLED.format(name=command.name))

    def _matcher(self, command: Command) -> None:
        self.write(f"::{command.name}:: is ignored: problem matchers are not supported", "debug")

    def _fail(self, message: str) -> None:
        self.error = self.error or message
        self.annotate("error", message)


_COMMANDS: dict[str, Callable[[StepOutput, Command], None]] = {
    "add-mask": StepOutput._mask,
    "add-matcher": StepOutput._matcher,
    "remove-matcher": StepOutput._matcher,
    "add-path": StepOutput._disabled,
    "set-env": StepOutput._disabled,
    "set-output": StepOutput._set_output,
    "save-state": StepOutput._save_state,
    "stop-commands": StepOutput._stop,
    "echo": StepOutput._set_echo,
    "debug": StepOutput._show_debug,
    "notice": StepOutput._annotated_line,
    "warning": StepOutput._annotated_line,
    "error": StepOutput._annotated_line,
    "group": StepOutput._show,
    "endgroup": StepOutput._show,
}
