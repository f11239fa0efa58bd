"""API keys: issued, checked, revoked."""
