"""The live stream: what is sealed arrives, what was missed arrives first, and stopping ends it."""

from __future__ import annotations

import asyncio
import json

from opsroom.surfaces.web.live import Live


def everything(event) -> bool:
    return True


def parsed(message: bytes) -> tuple[str, str, dict]:
    fields = dict(line.split(": ", 1) for line in message.decode().strip().splitlines())
    return fields["event"], fields.get("id", ""), json.loads(fields["data"])


async def next_of(stream) -> tuple[str, str, dict]:
    while True:
        message = await asyncio.wait_for(anext(stream), 5)
        if not message.startswith(b":"):
            return parsed(message)


def test_new_events_of_the_types_arrive(plane, record):
    live = Live(plane.ledger, plane.journal)

    async def follow():
        stream = live.stream(("run.",), "", everything)
        assert (await next_of(stream))[0] == "hello"
        await asyncio.to_thread(record, "alert.fired", "alert:A")
        event = await asyncio.to_thread(record, "run.finished", "run:r1")
        name, id, data = await next_of(stream)
        assert (name, data) == ("ledger", {"type": "run.finished", "id": event.id, "subjects": ["run:r1"]})
        assert int(id) == plane.ledger.last_seq()
        live.stop()
        assert (await next_of(stream))[0] == "bye"
        assert [message async for message in stream] == []

    asyncio.run(follow())


def test_a_stream_goes_on_where_it_was_cut(plane, record):
    first = record("run.finished", "run:r1")
    seen = plane.ledger.last_seq()
    missed = [record("run.finished", f"run:m{number}").id for number in range(3)]
    live = Live(plane.ledger, plane.journal)

    async def follow():
        stream = live.stream(("run.",), str(seen), everything)
        assert (await next_of(stream))[2] == {"missed": 3}
        assert [(await next_of(stream))[2]["id"] for _ in missed] == missed
        fresh = await asyncio.to_thread(record, "run.finished", "run:new")
        assert (await next_of(stream))[2]["id"] == fresh.id
        live.stop()

    asyncio.run(follow())
    assert first.id not in missed


def test_a_strange_last_event_id_starts_from_now(plane, record):
    record("run.finished", "run:r1")
    live = Live(plane.ledger, plane.journal)

    async def follow(given: str):
        stream = live.stream((), given, everything)
        assert (await next_of(stream))[2] == {"missed": 0}
        await stream.aclose()

    for given in ("nonsense", "-1", "99999999999999999999"):
        asyncio.run(follow(given))
    live.stop()


def test_a_stopped_stream_ends_at_once(plane):
    live = Live(plane.ledger, plane.journal)
    live.stop()

    async def follow():
        return [message async for message in live.stream((), "", everything)]

    assert asyncio.run(follow()) == []
