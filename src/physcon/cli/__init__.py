"""The command line: `physcon audit | constrain | predict | run | solve | report | info`.

A command is a module here with HELP (one line), `parser(arguments)` and
`main(options)`.
"""

import sys
from collections.abc import Sequence

from physcon._extras import needs
from physcon._version import __version__

with needs("cli"):
    from jsonargparse import ArgumentParser

    from physcon.cli import audit, constrain, info, predict, report, run, solve
    from physcon.cli.settings import accept_negative_numbers, with_one_list

COMMANDS = {
    "audit": audit,
    "constrain": constrain,
    "predict": predict,
    "run": run,
    "solve": solve,
    "report": report,
    "info": info,
}
_ABOUT = (
    "Predictions that obey the physics: conservation laws, boundary conditions, bounds."
)
#: `physcon run CONFIG`: jsonargparse has no positional configuration file.
_WITH_CONFIG = ("run", "solve")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `physcon` command; errors of the user end with one clear line."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if (
        len(arguments) > 1
        and arguments[0] in _WITH_CONFIG
        and not arguments[1].startswith("-")
    ):
        arguments.insert(1, "--config")
    elif len(arguments) == 1 and arguments[0] in _WITH_CONFIG:
        remedy = f"physcon {arguments[0]} configs/NAME.yaml, see --help"
        sys.exit(
            f"physcon {arguments[0]}: expected a settings file, got none; {remedy}"
        )
    arguments = with_one_list(arguments, "--names.coordinates")
    parser = ArgumentParser(
        prog="physcon", description=_ABOUT, version=f"physcon {__version__}"
    )
    commands = parser.add_subcommands(required=True)
    # Only the command that is asked for, so that `predict` needs nothing of what `run`
    # does.
    asked = arguments[:1] if arguments[:1] and arguments[0] in COMMANDS else COMMANDS
    for name in asked:
        command = COMMANDS[name]
        options = accept_negative_numbers(command.parser(arguments))
        commands.add_subcommand(name, options, help=command.HELP)
    chosen = parser.parse_args(arguments)
    try:
        COMMANDS[chosen.subcommand].main(chosen[chosen.subcommand])
    except (ValueError, FloatingPointError, RuntimeError, ImportError) as error:
        message = _message(error)
        if message is None:
            raise
        sys.exit(f"physcon {chosen.subcommand}: {message}")
    except OSError as error:
        remedy = "check the path, its permissions, and the free space"
        sys.exit(
            f"physcon {chosen.subcommand}: expected files to read and write, got {error}; {remedy}"
        )
    except KeyboardInterrupt:
        resumed = "; --resume goes on" if chosen.subcommand in _WITH_CONFIG else ""
        print(f"\nphyscon {chosen.subcommand}: interrupted{resumed}", file=sys.stderr)
        sys.exit(130)


def _message(error: Exception) -> str | None:
    """What went wrong, in the user's terms; None: a fault of the program, which keeps
    its stack.

    A check at run time (`eqx.error_if`) comes wrapped in stacks and advice to
    programmers. A missing package is named, with its extra, in an error raised from the
    import's own.
    """
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith(
        "physcon"
    ):
        return (
            f"expected the package {error.name}, which is not installed; "
            "run pip install 'physcon[all]'"
        )
    if isinstance(error, ImportError):
        return str(error) if isinstance(error.__cause__, ImportError) else None
    if not isinstance(error, RuntimeError):
        return str(error)
    _, wrapped, rest = str(error).partition("EquinoxRuntimeError: ")
    if wrapped:
        return rest.partition("\n\n")[0].strip()
    return str(error) if type(error) is RuntimeError else None
