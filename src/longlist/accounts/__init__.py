"""Account groups and what a key may do."""
