"""Connections to Redis and to object stores that fail soft, and the addresses people write for them.

In: an address (`redis://...`, `s3://...`) and commands. Out: an answer within a time limit, or `None`; a
circuit breaker rests a server that does not answer.
"""
