"""`python -m physcon`."""

from physcon.cli import main

main()
