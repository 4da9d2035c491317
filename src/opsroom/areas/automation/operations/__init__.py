"""The verbs of automation, one module a noun."""
