"""The values that options take, each with its reader, writer, bounds and hint.

In: the text behind an option's name. Out: a frozen value, and the one canonical text for it; ValueError else.
"""
