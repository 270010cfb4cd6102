"""The values that all rooms share: originals, renditions, formats, limits, freshness, keys, errors, outcomes.

In: nothing; standard library only. Out: frozen values and pure functions. Each module is a door of its own,
so that a renderer process imports only what it needs.
"""
