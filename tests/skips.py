"""A pytest plugin: a run ends with its skipped tests counted by reason, so that nobody takes what was not tried for tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable

import pytest


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """Prints a line for each reason, the commonest first, after all else; nothing where nothing was skipped."""
    yield
    lines = counted(terminalreporter.stats.get("skipped", ()))
    if lines:
        terminalreporter.section("tests not run")
        for line in lines:
            terminalreporter.write_line(line)


def counted(reports: Iterable[pytest.TestReport | pytest.CollectReport]) -> list[str]:
    """`skipped: 3 × Chromium is not installed`, one line for each reason."""
    reasons = Counter(_reason(report.longrepr) for report in reports)
    return [f"skipped: {count} × {reason}" for reason, count in sorted(reasons.items(), key=lambda it: (-it[1], it[0]))]


def _reason(found: object) -> str:
    text = str(found[2] if isinstance(found, tuple) else found)
    return text.removeprefix("Skipped: ").strip() or "no reason given"
