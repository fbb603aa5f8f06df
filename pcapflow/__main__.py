"""`python -m pcapflow`."""

from pcapflow.start import main

main()
