"""What each reason for or against a suspect counts: a factor from 0 to 1, with the sentence that says when it holds.

The numbers are judgement, not law. They are few, they multiply, and each stands beside its reason wherever a score is shown, so that a person
can do the sum again. docs/guides/alerts-and-incidents.md shows this table; a test holds it to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One factor and when it holds. `least`: it goes from there to `factor` by degrees ("" reason for a fixed one)."""

    factor: float
    holds: str
    least: float | None = None

    @property
    def shown(self) -> str:
        """As a table shows it: `0.6`, or `0.15 to 1`."""
        return f"{self.factor:g}" if self.least is None else f"{self.least:g} to {self.factor:g}"


WEIGHTS: Mapping[str, Weight] = {
    "same": Weight(factor=1.0, holds="it changed the service that suffers"),
    "dependency": Weight(factor=0.6, holds="it changed a service that this one needs directly"),
    "traced": Weight(factor=0.5, holds="it changed a service that logs the same trace ids, though the catalog names no way to it"),
    "further": Weight(factor=0.4, holds="it changed a service that this one needs by way of others"),
    "configuration": Weight(factor=0.35, holds="it changed how things are set up, no single service"),
    "dependent": Weight(factor=0.2, holds="it changed a service that needs this one"),
    "unrelated": Weight(factor=0.08, holds="the catalog knows no way between the two services"),
    "suffered too": Weight(factor=1.35, holds="the needed service's own figures rose with the change"),
    "did not suffer": Weight(factor=0.5, holds="the needed service's own figures stayed level, or had risen before the change"),
    "not running": Weight(factor=0.1, holds="nothing that runs was changed by it, as by a push that was not deployed"),
    "failed": Weight(factor=0.5, holds="it failed, so what ran before should still run"),
    "replaced": Weight(factor=0.3, holds="a later deployment of the service had taken its place when the symptom began"),
    "age": Weight(factor=1.0, least=0.12, holds="the longer before the symptom it took effect, the less: half for every 10 minutes"),
    "elsewhere": Weight(factor=0.15, holds="it was in another environment than the alert"),
    "nowhere": Weight(factor=0.8, holds="it names no environment"),
    "moved": Weight(factor=1.0, least=0.15, holds="the alert's series rose with it, or shortly after: half for every 30 seconds; less for the share of the rise that was gone before it began"),
    "level": Weight(factor=0.7, holds="the alert's series shows no clear rise, which helps no suspect"),
    "load": Weight(factor=0.7, holds="it is load, which shows a limit, and ends by itself"),
    "load over": Weight(factor=0.3, holds="the load had ended before the symptom began"),
}  # fmt: skip
"""By name; the order is that of the table."""
