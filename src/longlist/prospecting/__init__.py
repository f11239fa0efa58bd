"""Prospecting: the jobs that fill an audience, and the files and sources that feed them."""
