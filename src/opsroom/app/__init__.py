"""The composition root: AREAS and CONNECTORS spelled out, adapters chosen, the application built and served."""
