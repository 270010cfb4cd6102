"""The syntax of URLs, in both directions: split, parse, sign, verify, build.

In: a raw path and query, or options and a key. Out: an address and a spec, or a URL; pure, no network.
"""
