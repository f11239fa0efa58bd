"""The servers Longlist is measured beside."""
