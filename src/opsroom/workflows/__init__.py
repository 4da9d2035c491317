"""The engine: workflow syntax, expressions, planning, run state, scheduler, runners and steps."""
