"""From a raw path to what is asked for, and whether it may be.

In: path, query, what the client accepts, presets, a policy. Out: a rendition request, or a refusal that names
the option.
"""
