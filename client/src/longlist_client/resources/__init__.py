"""The operations of the server, grouped by what they are about.

In each module: a pure function for each operation, named as its operation id in the API document,
then the blocking and the awaiting resource, which only name them.
"""
