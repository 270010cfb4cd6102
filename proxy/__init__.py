"""An image transformation proxy: a URL becomes a picture."""

__version__ = "0.1.0"
