"""Races, crashes and faults, against real processes: API, workers and databases."""
