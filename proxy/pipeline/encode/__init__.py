"""From a picture to the bytes of a file: savers, metadata, the quality that is wanted, the smallest format.

In: a picture and an order (formats, quality or bytes, what to keep). Out: the body and its format.
"""
