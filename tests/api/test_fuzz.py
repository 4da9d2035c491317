"""Schemathesis drives the API from its own description: no input makes a 500, and every answer is as described."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    negative_data_rejection,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS

pytestmark = pytest.mark.slow
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", [one.name for one in KERNEL_OPERATIONS])
def test_every_answer_is_as_described(name: str, mode: GenerationMode, admin: TestClient) -> None:
    headers = {"Authorization": admin.headers["Authorization"], "Host": "127.0.0.1"}
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", admin.app, headers=headers)
    asked = schema.find_operation_by_id(name)
    if mode is GenerationMode.NEGATIVE and not (asked.body or asked.query or asked.path_parameters):
        return
    # In a query everything is text, so "false" for a list of texts fits after all; in a body it must be refused.
    typed = mode is GenerationMode.NEGATIVE and asked.body and not asked.query
    checks = [*CHECKS, negative_data_rejection] if typed else CHECKS

    @settings(
        max_examples=15, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=asked.as_strategy(generation_mode=mode))
    def drive(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=checks)

    drive()
