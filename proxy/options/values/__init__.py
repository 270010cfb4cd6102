"""The values that options take, and their kinds, which parse, format and describe them.

In: the argument of an option. Out: a frozen value with one canonical text, or ValueError.
"""
