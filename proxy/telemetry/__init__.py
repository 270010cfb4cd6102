"""What operators see of a running deployment: log lines and metrics.

In: events and counts, told by the rooms above. Out: lines on stderr, and a Prometheus exposition.
"""
