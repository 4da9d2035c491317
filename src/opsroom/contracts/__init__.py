"""What areas and connectors declare, implement and ask: areas, operations, facts, actions, page parts."""
