"""The commands for people who work with a server from wherever they are, over its API.

Nothing here touches a database: every command goes through the Python client, with the powers of
an API key and no others.
"""
