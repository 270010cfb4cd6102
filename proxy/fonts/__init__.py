"""
The fonts that come with the package, and all fonts as files: which there are, and what of a text none has.

In: the fonts.conf in use. Out: a text that can be drawn, and the letters that are missing; no pixels.
"""
