"""The verbs of observability, a file for each noun."""
