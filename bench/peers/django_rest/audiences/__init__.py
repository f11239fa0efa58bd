"""Part of the Django peer."""
