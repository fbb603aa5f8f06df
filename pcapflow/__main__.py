"""`python -m pcapflow`."""

from pcapflow.cli import main

main()
