"""The ways in: CLI and API derived from the operations, and the web pages."""
