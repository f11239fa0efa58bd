"""The admin pages over plain HTTP on both engines, and in a browser."""
