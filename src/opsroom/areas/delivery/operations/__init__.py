"""The verbs of delivery, one module a noun."""
