"""PromQL: parsed by promql-parser, evaluated over whole matrices (series x steps) in NumPy, never step by step.

Semantics are those of Prometheus 3 (https://prometheus.io/docs/prometheus/latest/querying/): ranges and the five minutes of
lookback are open on the left. Native histograms are not there. `engine` is the front door.
"""
