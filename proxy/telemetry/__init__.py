"""What operators see of a running deployment: log lines and metrics.

In: events and counts from the rooms above. Out: lines on stderr, and an exposition in Prometheus' format.
"""

from proxy.telemetry.metrics import DeploymentFacts, Metrics

__all__ = ["DeploymentFacts", "Metrics"]
