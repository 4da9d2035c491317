"""The pages the frame itself owns: overview, services, changes, search, and the gallery of parts."""
