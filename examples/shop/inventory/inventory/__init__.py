"""The shop's inventory: how much of each product there is, and what is reserved."""
