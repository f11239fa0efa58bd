"""`longlist demo`: an installation of its own, filled with what there is to see.

It has no way in that others do not have: what an operator does it does as the commands do, through
the stores, and everything else with the Python client, over HTTP. Running it again goes on with
what is there.
"""
