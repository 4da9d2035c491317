"""The verbs of incidents: the only way in."""

from __future__ import annotations

from opsroom.areas.incidents.operations import follow_up, incidents, on_call, pages
from opsroom.contracts.operations import operations_of

OPERATIONS = operations_of(incidents, pages, on_call, follow_up)
