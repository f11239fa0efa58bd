"""Audiences and the folders they are in."""
