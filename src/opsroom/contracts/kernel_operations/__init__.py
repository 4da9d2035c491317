"""The kernel's own operations: catalog, identity, secrets, waivers and the ledger, on every surface like those of areas."""

from __future__ import annotations

from opsroom.contracts.kernel_operations import areas, catalog, identity, ledger, secrets, waivers
from opsroom.contracts.operations import operations_of

KERNEL_OPERATIONS = operations_of(areas, catalog, identity, secrets, waivers, ledger)
