"""The command line: `physcon constrain | predict | run | report | info`.

A command is a module here with HELP (one line), `parser(arguments)` and `main(options)`.
"""

import sys
from collections.abc import Sequence

from jsonargparse import ArgumentParser

from physcon._version import __version__
from physcon.cli import constrain, info, predict, report, run

COMMANDS = {
    "constrain": constrain,
    "predict": predict,
    "run": run,
    "report": report,
    "info": info,
}
_WITH_CONFIG = ("run",)  # `physcon run CONFIG`: jsonargparse has no positional configuration file


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `physcon` command; errors of the user end with one clear line."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if len(arguments) > 1 and arguments[0] in _WITH_CONFIG and not arguments[1].startswith("-"):
        arguments.insert(1, "--config")
    parser = ArgumentParser(prog="physcon", description=__doc__, version=f"physcon {__version__}")
    commands = parser.add_subcommands(required=True)
    # Only the command that is asked for, so that `predict` needs nothing of what `run` does.
    asked = arguments[:1] if arguments[:1] and arguments[0] in COMMANDS else COMMANDS
    for name in asked:
        command = COMMANDS[name]
        commands.add_subcommand(name, command.parser(arguments), help=command.HELP)
    chosen = parser.parse_args(arguments)
    try:
        COMMANDS[chosen.subcommand].main(chosen[chosen.subcommand])
    except (ValueError, FloatingPointError) as error:
        sys.exit(f"physcon {chosen.subcommand}: {error}")
