"""Unipile, a service that reaches LinkedIn through an account connected there.

`provider.py` is what the rest of the server uses. `double.py` stands in for the service in tests
and in trials without an account.
"""
