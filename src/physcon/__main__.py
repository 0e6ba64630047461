"""The `physcon` command, also as `python -m physcon`."""

import sys


def main() -> None:
    """Run the command line; a package that is missing ends it with one sentence."""
    try:
        from physcon.cli import main as run
    except ImportError as error:
        if not isinstance(error.__cause__, ImportError):
            raise
        sys.exit(f"physcon: {error}")
    run()


if __name__ == "__main__":
    main()
