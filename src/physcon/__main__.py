"""`python -m physcon`, the same as the command `physcon`."""

from physcon.cli import main

if __name__ == "__main__":
    main()
