"""What is done to pixels: effects, canvas, corners, overlays, text, frames of animations.

In: a picture in sRGB, a spec and a plan. Out: a picture of exactly the planned size.
"""
