"""The version of this package; the server's may differ."""

__version__ = "0.1.0"
