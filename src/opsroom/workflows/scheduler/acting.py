"""Runs the plane's actions: one thread each, with the intent stored before the effect, and recovery before any second try."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from opsroom.kernel.clock import Clock, stamp
from opsroom.kernel.errors import UserError
from opsroom.kernel.journal import Journal
from opsroom.kernel.queue import Item
from opsroom.workflows import moves as m
from opsroom.workflows.actions import (
    ActionCancelled,
    ActionError,
    ActionHost,
    ActionRequest,
    ActionWaiting,
    missing_permission,
)
from opsroom.workflows.protocol import LogLine
from opsroom.workflows.run import JobState, StepState
from opsroom.workflows.runner.mask_file import MaskFile
from opsroom.workflows.runner.masks import Masks
from opsroom.workflows.scheduler.folders import JobFolder
from opsroom.workflows.scheduler.launching import MaskKey, SecretSource
from opsroom.workflows.store import RunRecord


@dataclass(slots=True, kw_only=True)
class Work:
    """One action in flight."""

    item: Item
    record: RunRecord
    job: JobState
    held: StepState
    permissions: Mapping[str, str]
    folder: JobFolder
    stop: threading.Event = field(default_factory=threading.Event)
    summaries: list[str] = field(default_factory=list)


class Actions:
    """The actions in flight. `ended` takes each outcome, with the queue item that carried the command, to the run."""

    def __init__(
        self,
        *,
        host: ActionHost,
        secrets: SecretSource,
        mask_key: MaskKey,
        clock: Clock,
        journal: Journal,
        redact: Callable[[str], str],
        ended: Callable[[str, m.Event, Item], None],
    ) -> None:
        self._host = host
        self._secrets = secrets
        self._mask_key = mask_key
        self._clock = clock
        self._journal = journal
        self._redact = redact
        self._ended = ended
        self._works: dict[str, Work] = {}

    def begin(self, work: Work) -> None:
        """Starts the action in a thread of its own; one that is in flight already goes on."""
        if work.item.id in self._works:
            return
        if work.job.stopping and not work.held.after_cancel:
            work.stop.set()
        self._works[work.item.id] = work
        name = f"action {work.held.uses}"
        threading.Thread(target=self._carry_out, args=(work,), daemon=True, name=name).start()

    def cancel(self, run: str, job: str) -> None:
        """Tells the job's action to stop, if one is in flight."""
        for work in list(self._works.values()):
            if (work.record.id, work.job.key) == (run, job):
                work.stop.set()

    def items(self) -> list[Item]:
        """The queue items of the actions in flight, whose leases are to be extended."""
        return [work.item for work in list(self._works.values())]

    def _carry_out(self, work: Work) -> None:
        try:
            begun = time.thread_time()
            event = self._outcome(work)
            if isinstance(event, m.ActionEnded):
                event = replace(event, cpu_seconds=round(time.thread_time() - begun, 6))
            self._ended(work.record.id, event, work.item)
        except Exception as bug:  # The item's lease runs out, and the action is taken up again by `recover`.
            self._journal.error("the outcome of an action was lost", bug=bug, uses=work.held.uses, run=work.record.id)
        finally:
            self._works.pop(work.item.id, None)

    def _outcome(self, work: Work) -> m.Event:
        about: dict[str, Any] = {
            "job": work.job.key,
            "attempt": work.job.attempt,
            "index": work.held.index,
            "call": work.held.calls,
        }
        masks = self._masks(work)

        def hide(text: object) -> str:
            return self._redact(masks.hide(str(text)))

        def refused(reason: object, *, cancelled: bool) -> m.ActionEnded:
            line = hide(" ".join(str(reason).split())) or work.job.stopping
            request.log(f"Error: {line}")
            return m.ActionEnded(**about, error=line, cancelled=cancelled)

        request = self._request(work, masks, hide)
        try:
            outputs = self._call(work, request)
            summaries = tuple(map(hide, work.summaries))
            return m.ActionEnded(**about, outputs=masks.seal_all(outputs), summaries=summaries)
        except ActionWaiting as waiting:
            return m.ActionWaits(**about, tries=work.held.tries, reason=hide(waiting), seconds=waiting.seconds)
        except ActionCancelled as cancelled:
            return refused(cancelled, cancelled=True)
        except (ActionError, UserError) as error:
            return refused(error, cancelled=work.stop.is_set())
        except Exception as bug:  # The boundary to an area's code: its step fails, the scheduler goes on.
            self._journal.error("an action broke", bug=bug, uses=request.uses, run=request.run, job=request.job)
            return refused(f"{request.uses} broke: {type(bug).__name__}: {bug}", cancelled=False)

    def _call(self, work: Work, request: ActionRequest) -> dict[str, str]:
        needed = self._host.permission(request.uses)
        if missing := missing_permission(needed, work.permissions, request.uses):
            raise ActionError(missing)
        again = work.item.attempts > 1 or work.held.tries > 1
        outputs = self._host.recover(request) if again else None
        if outputs is None:
            outputs = self._host.run(request)
        return {str(name): str(value) for name, value in outputs.items()}

    def _masks(self, work: Work) -> Masks:
        key = self._mask_key(f"{work.record.id}/{work.job.key}/{work.job.attempt}")
        kept = MaskFile(work.folder.path, key) if key else None
        return Masks(self._secrets(work.record, work.job.key), kept)

    def _request(self, work: Work, masks: Masks, hide: Callable[[object], str]) -> ActionRequest:
        record, job, held = work.record, work.job, work.held
        call = f".{held.calls}" if held.calls else ""
        return ActionRequest(
            uses=held.uses, inputs=masks.unseal_all(held.inputs), env=masks.unseal_all(held.env),
            key=f"{record.id}/{job.key}/{job.attempt}/{held.index}{call}", run=record.id, job=job.key, step=held.index,
            attempt=job.attempt, repository=record.repository, workflow=record.workflow, service=record.service,
            commit=record.commit, ref=record.ref, event=record.event, cause=record.queued_event,
            workspace=work.folder.workspace, log=self._logger(work.folder, held.index, hide),
            summary=work.summaries.append, cancelled=work.stop.is_set,
        )  # fmt: skip

    def _logger(self, folder: JobFolder, step: int, hide: Callable[[object], str]) -> Callable[[str], None]:
        def log(text: str) -> None:
            at = stamp(self._clock.now())
            lines = [LogLine(at=at, step=step, text=line) for line in hide(text).splitlines()]
            data = "".join(json.dumps(asdict(line), ensure_ascii=False) + "\n" for line in lines)
            with folder.log.open("a", encoding="utf-8") as file:
                file.write(data)

        return log
