"""The shell of a job: one small `sh` for the whole job, inside the sandbox if there is one, that forks each step's shell.

The runner tells it a step by its number on a pipe; the step's source (environment, folder, command) stands in a memory
file that both hold, so no secret value touches a disk. What comes back on a second pipe is the exit code and the CPU time
of all processes waited for so far. Processes that a step leaves behind live until the job ends, as at GitHub.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from opsroom.workflows.runner.cancellation import Cancellation
from opsroom.workflows.runner.processes import kill_marked, sweep

_LOOP = 'while read -r n; do ( . /proc/self/fd/4 ); echo "$n $?" >&3; times >&3; done'
_LIFELINE = "( exec </dev/null >&- 2>&- 3>&- 4>&-; read -r x <&5; kill -s KILL -- -$$ ) & exec 5<&-; "
"""Outside a sandbox nothing else ends a job whose runner was killed: the end of file on the runner's pipe kills its group."""
_SIGNALS = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGCHLD,
    signal.SIGIO,
)
"""Python ignores some of these, a runner others; a job finds them as any process does."""
_CHUNK = 1 << 16
_HIGH = 32
"""File descriptors are moved up to here first, so that placing one on 0 to 5 never overwrites another."""

Reason = Literal["", "timeout", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a step's command ended: its exit code (128 + signal number), CPU seconds, and why the runner stopped it, if it did."""

    code: int
    cpu_seconds: float
    stopped: Reason = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What all processes of a job used: CPU seconds, and the peak of the largest one in bytes."""

    cpu_seconds: float
    peak_bytes: int


class ShellDied(Exception):
    """The job's shell ended: the sandbox did not start, the job killed it, or it was killed to stop the step (`stopped`).

    `output` is the last it wrote.
    """

    def __init__(self, code: int, output: str, *, stopped: bool) -> None:
        self.code = code
        self.stopped = stopped
        self.output = output.strip()
        super().__init__(self.output or f"exit status {code}")


class JobShell:
    """`before` is the command that `sh -c …` is put after: a sandbox, or nothing. `marker` begins the marker of all its processes.

    `grace`: seconds from SIGINT to SIGTERM, and from there to SIGKILL, when a step is stopped (GitHub: 7.5 and 2.5).
    """

    def __init__(
        self,
        before: Sequence[str],
        *,
        environment: Mapping[str, str],
        marker: str,
        limits: str = "",
        grace: tuple[float, float] = (7.5, 2.5),
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._before = before
        self._environment = dict(environment)
        self._marker = marker
        self._limits = limits
        self._grace = grace
        self._pass_fds = pass_fds
        self._pid = 0
        self._cpu = 0.0
        self._busy = False
        self._usage = Usage(cpu_seconds=0.0, peak_bytes=0)

    def start(self) -> None:
        """Starts the shell without waiting for it; whether it could start is seen by the first step."""
        commands, self._commands = _pipe()
        self._output, output = _pipe()
        self._control, control = _pipe()
        lifeline, self._lifeline = _pipe()
        self._source = _high(os.memfd_create("step"))
        os.set_blocking(self._output, False)
        placed = ((commands, 0), (output, 1), (output, 2), (control, 3), (self._source, 4), (lifeline, 5))
        actions = [(os.POSIX_SPAWN_DUP2, source, target) for source, target in placed]
        actions += [(os.POSIX_SPAWN_DUP2, descriptor, descriptor) for descriptor in self._pass_fds]
        script = self._limits + ("exec 5<&-; " if self._before else _LIFELINE) + _LOOP
        command = [*self._before, "/bin/sh", "-c", script]
        self._pid = os.posix_spawn(
            command[0], command, self._environment, file_actions=actions, setsid=True, setsigdef=_SIGNALS
        )
        for descriptor in (commands, output, control, lifeline):
            os.close(descriptor)
        self._pending = b""
        self._poll = select.poll()
        self._poll.register(self._output, select.POLLIN)
        self._poll.register(self._control, select.POLLIN)

    def run(
        self,
        number: int,
        source: str,
        *,
        output: Callable[[bytes], None],
        cancellation: Cancellation | None = None,
        deadline: float = 0.0,
    ) -> Ended:
        """Runs one step's source; `deadline` is a monotonic time (0: none). `cancellation` stops it, also when it is set already.
        Error: ShellDied."""
        if not self._pid:
            self.start()
        raw = source.encode("utf-8", "surrogateescape")
        os.ftruncate(self._source, 0)
        _write(self._source, raw)
        try:
            os.write(self._commands, b"%d\n" % number)
        except BrokenPipeError:
            pass
        self._busy = True
        ended = _Wait(self, number, output, cancellation, deadline).result()
        self._busy = False
        return ended

    def close(self) -> Usage:
        """Ends the shell and every process of the job; what they used, over all shells this object had."""
        if self._pid:
            for descriptor in (self._commands, self._lifeline):
                os.close(descriptor)
            if self._busy:
                _kill_group(self._pid)
            self._reap()
            for descriptor in (self._output, self._control, self._source):
                os.close(descriptor)
        return self._usage

    def _reap(self) -> int:
        _, status, used = os.wait4(self._pid, 0)
        self._pid, self._cpu, self._busy = 0, 0.0, False
        self._usage = Usage(
            cpu_seconds=self._usage.cpu_seconds + used.ru_utime + used.ru_stime,
            peak_bytes=max(self._usage.peak_bytes, used.ru_maxrss * 1024),
        )
        return os.waitstatus_to_exitcode(status)


class _Wait:
    """One step being waited for: its output passed on, its end read, and, if need be, brought about."""

    def __init__(
        self,
        shell: JobShell,
        number: int,
        output: Callable[[bytes], None],
        cancellation: Cancellation | None,
        deadline: float,
    ) -> None:
        self.shell = shell
        self.number = number
        self.output = output
        self.cancellation = cancellation
        self.deadline = deadline
        self.stopped: Reason = ""
        self.signals: list[tuple[float, int]] = []
        self.last = b""

    def result(self) -> Ended:
        shell = self.shell
        watched = -1 if self.cancellation is None else self.cancellation.fileno()
        if watched >= 0:
            shell._poll.register(watched, select.POLLIN)
        try:
            while True:
                for descriptor, _ in shell._poll.poll(self._patience()):
                    if descriptor == shell._output:
                        self._drain(limit=1)
                    elif descriptor == shell._control:
                        if ended := self._report():
                            return ended
                    elif descriptor == watched:
                        shell._poll.unregister(watched)
                        watched = -1
                        self._stop("cancelled")
                self._act()
        finally:
            if watched >= 0:
                shell._poll.unregister(watched)

    def _report(self) -> Ended | None:
        read = os.read(self.shell._control, _CHUNK)
        if not read:
            self._drain()
            raise self._died()
        self.shell._pending += read
        if self.shell._pending.count(b"\n") < 3:
            return None
        head, _, children, rest = self.shell._pending.split(b"\n", 3)
        self.shell._pending = rest
        self._drain()
        before, self.shell._cpu = self.shell._cpu, _seconds(children)
        return Ended(code=int(head.split()[1]), cpu_seconds=self.shell._cpu - before, stopped=self.stopped)

    def _died(self) -> ShellDied:
        shell = self.shell
        for descriptor in (shell._commands, shell._lifeline):
            os.close(descriptor)
        code = shell._reap()
        for descriptor in (shell._output, shell._control, shell._source):
            os.close(descriptor)
        return ShellDied(code, self.last.decode("utf-8", "replace")[-500:], stopped=bool(self.stopped))

    def _drain(self, limit: int = 1 << 30) -> None:
        """Passes on what the pipe holds; all that a step wrote before it ended is in there by then."""
        for _ in range(limit):
            try:
                chunk = os.read(self.shell._output, _CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                if limit == 1:
                    self.shell._poll.unregister(self.shell._output)
                return
            self.last = chunk
            self.output(chunk)

    def _patience(self) -> int | None:
        """Milliseconds until something must be done though nothing happens."""
        due = [at for at, _ in self.signals[:1]]
        if self.deadline and not self.stopped:
            due.append(self.deadline)
        return max(0, int((min(due) - time.monotonic()) * 1000) + 1) if due else None

    def _act(self) -> None:
        now = time.monotonic()
        if self.deadline and not self.stopped and now >= self.deadline:
            self._stop("timeout")
        while self.signals and now >= self.signals[0][0]:
            _, number = self.signals.pop(0)
            if number:
                kill_marked(f"{self.shell._marker}:{self.number}\0", number)
            else:
                self._end_shell()

    def _stop(self, reason: Reason) -> None:
        self.stopped = reason
        now, (first, second) = time.monotonic(), self.shell._grace
        self.signals = [
            (now, signal.SIGINT),
            (now + first, signal.SIGTERM),
            (now + first + second, signal.SIGKILL),
            (now + first + second + 0.5, 0),
        ]

    def _end_shell(self) -> None:
        """The step cannot be met by its marker (it cleared its environment): the whole shell goes, and a new one is started."""
        sweep(f"{self.shell._marker}:")
        _kill_group(self.shell._pid)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _seconds(line: bytes) -> float:
    """`0m0.06s 0m0.01s` as seconds (POSIX `times`)."""
    parts = line.replace(b"s", b"").replace(b",", b".").split()
    return sum(float(minutes) * 60 + float(seconds) for minutes, _, seconds in (part.partition(b"m") for part in parts))


def _pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    return _high(reader), _high(writer)


def _high(descriptor: int) -> int:
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    os.close(descriptor)
    return moved


def _write(descriptor: int, raw: bytes) -> None:
    offset = 0
    while offset < len(raw):
        offset += os.pwrite(descriptor, raw[offset:], offset)
