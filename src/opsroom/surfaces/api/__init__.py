"""The REST API under /api/v1, derived from the operations; `app.build_api` makes it, `server.serve` runs it."""
