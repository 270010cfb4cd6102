"""What is said about a picture in place of the picture: facts, placeholders, palette.

In: an original and a spec. Out: a JSON object of dimensions, BlurHash, ThumbHash, colours.
"""
