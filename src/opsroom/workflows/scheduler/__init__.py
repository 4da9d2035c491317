"""The scheduler: it makes the pure state machine durable and carries out what it commands."""
