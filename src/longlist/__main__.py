"""`python -m longlist` is the `longlist` command."""

from longlist.cli import main

main()
