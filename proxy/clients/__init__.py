"""Clients of Redis and of object stores that fail soft, and the addresses that operators write for them.

In: an address (`redis://...`, `s3://...`) and commands. Out: an answer within a time limit, or `None`: a
circuit breaker stops calls to a server that does not answer.
"""

from proxy.clients.address import TierAddress, parse_tier_address
from proxy.clients.breaker import CircuitBreaker

__all__ = ["CircuitBreaker", "TierAddress", "parse_tier_address"]
