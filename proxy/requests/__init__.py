"""Requests: what a URL asks for, and whether this deployment serves it.

In: raw path, query, accepted formats, presets, serving terms. Out: a `ParsedRequest`, or an error that names
the option.
"""

from proxy.requests.policy import check_policy
from proxy.requests.read import ParsedRequest, ServingTerms, read_request

__all__ = ["ParsedRequest", "ServingTerms", "check_policy", "read_request"]
