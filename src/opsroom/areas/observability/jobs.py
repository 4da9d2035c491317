"""What runs on a clock and on an event: scraping, collecting, rules, objectives, and the telling of rules that changed."""

from __future__ import annotations

from opsroom.areas.observability.collecting import COLLECTING
from opsroom.areas.observability.evaluating import EVALUATING
from opsroom.areas.observability.in_force import RULES_LOADED
from opsroom.areas.observability.objectives import OBJECTIVES
from opsroom.areas.observability.scraping import SCRAPING

DUTIES = (SCRAPING, COLLECTING, EVALUATING, OBJECTIVES)
SUBSCRIPTIONS = (RULES_LOADED,)
