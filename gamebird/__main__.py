"""`python -m gamebird` is `gamebird`."""

from gamebird.cli.main import main

main()
