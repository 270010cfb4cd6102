"""The words of the road: originals, renditions, formats, limits, freshness, keys and errors.

In: nothing; standard library only. Out: frozen values and pure functions that every other room shares.
"""
