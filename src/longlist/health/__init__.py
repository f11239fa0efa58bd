"""Whether the server is up, whether it can work, and what it can do."""
