"""Measurements of Longlist beside other servers: `python -m bench.run`, explained in README.md."""
