"""`python -m everywire`: the command line, where its script is not on the path."""

from everywire.cli import main

main()
