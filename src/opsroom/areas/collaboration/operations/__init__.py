"""The verbs of collaboration, one module a noun."""
