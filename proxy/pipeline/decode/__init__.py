"""From an original's bytes to pixels in sRGB.

In: bytes that may be hostile, and limits. Out: a judged `Header` first, then frames of the planned size.
"""
