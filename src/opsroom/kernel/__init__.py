"""What every part stands on: resources, the ledger, the store, identity, secrets. It names no area and no tool."""
