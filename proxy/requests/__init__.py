"""Requests: what a URL asks for, and whether this deployment serves it.

In: raw path, query, accepted formats, presets, serving terms. Out: a `ParsedRequest`, or an error that names
the option.
"""
