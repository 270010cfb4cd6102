"""Regions that are found by looking at pixels: borders to trim, faces, what draws attention.

In: an original and a spec. Out: a plan whose boxes are all known.
"""
