"""The command line: `physcon audit`, `constrain`, `predict`, `run`, `solve`, ...

A command is a module here with `parser(arguments)` and `main(options)`. Its modules,
and JAX, are imported when it is asked for.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

from physcon._extras import needs
from physcon._signals import end_at_signals
from physcon._version import __version__

__all__ = ["COMMANDS", "main"]

#: The commands with a line of help for each.
COMMANDS = {
    "audit": "say which laws a dataset violates, and by how much",
    "constrain": "make predictions conservative",
    "predict": "run an exported predictor",
    "run": "reproduce a published study",
    "solve": "solve one equation by finite volumes",
    "report": "print a run's table",
    "info": "versions and devices",
}
_ABOUT = (
    "Predictions that obey the physics: conservation laws, boundary conditions, bounds."
)
#: Commands that compile programs, which are kept for the next one.
_COMPILING = ("audit", "constrain", "predict", "run", "solve")
#: Commands that read named variables of files, block by block in NumPy, and packages
#: that xarray imports for other arrays wherever it finds them: a fifth of the time of a
#: command on a small file.
_WITH_NUMPY = ("audit", "constrain")
_OF_OTHER_ARRAYS = ("dask", "pint", "cupy", "sparse")
#: `physcon run CONFIG`: jsonargparse has no positional configuration file.
_WITH_CONFIG = ("run", "solve")
#: Exit code of a program that wrote to a closed pipe, as a shell reports SIGPIPE.
_CLOSED_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `physcon` command; mistakes of the user end with one line.

    Args:
        arguments: words of the command, for a call within a program. The default is
            the command line: this process then belongs to the command, and a signal
            ends it.
    """
    is_program = arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if is_program and arguments and arguments[0] in _WITH_NUMPY:
        for package in _OF_OTHER_ARRAYS:
            sys.modules.setdefault(package, None)  # type: ignore[arg-type]
    if not arguments or arguments[0] not in COMMANDS:
        _outline().parse_args(arguments)  # prints the help or the version, or fails
    name = arguments[0]
    if is_program:
        end_at_signals(partial(_interrupted, arguments))
    try:
        options = _options(arguments)
        if name in _COMPILING:
            from physcon.cli.compiled import keep_programs

            keep_programs(options.pop("compile_cache"))
        _command(name).main(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _end_of_pipe()
    except (ValueError, FloatingPointError, RuntimeError, ImportError) as error:
        message = _message(error)
        if message is None:
            raise
        sys.exit(f"physcon {name}: {message}")
    except MemoryError as error:
        remedy = "make the sizes smaller"
        sys.exit(f"physcon {name}: expected to fit the memory, got: {error}; {remedy}")
    except OSError as error:
        remedy = "check the path, its permissions, and the free space"
        sys.exit(
            f"physcon {name}: expected files to read and write, got {error}; {remedy}"
        )
    except KeyboardInterrupt:
        print(_interrupted(arguments, signal.SIGINT), file=sys.stderr)
        sys.exit(130)


def _interrupted(arguments: list[str], number: signal.Signals) -> str:
    name = arguments[0]
    store = any(word.rstrip("/").endswith(".zarr") for word in arguments)
    can_resume = name in _WITH_CONFIG or (name == "constrain" and store)
    resumed = "; add --resume to continue" if can_resume else ""
    by_user = number == signal.SIGINT
    what = "interrupted" if by_user else f"ended by {number.name}"
    return f"\nphyscon {name}: {what}{resumed}"


def _command(name: str) -> Any:
    with needs("cli"):
        return import_module(f"physcon.cli.{name}")


def _options(arguments: list[str]) -> Any:
    """Parse the options of the command that is asked for."""
    with needs("cli"):
        from physcon.cli import compiled
        from physcon.cli.parsers import SuggestingParser
        from physcon.cli.settings import Help, accept_negative_numbers, with_one_list

    name = arguments[0]
    if name in _WITH_CONFIG:
        arguments = _with_config(arguments)
    arguments = with_one_list(arguments, "--names.coordinates")
    parser = SuggestingParser(prog="physcon", description=_ABOUT, formatter_class=Help)
    commands = parser.add_subcommands(required=True)
    options = accept_negative_numbers(_command(name).parser(arguments))
    if name in _COMPILING:
        compiled.add_option(options)
    commands.add_subcommand(name, options, help=COMMANDS[name])
    return parser.parse_args(arguments)[name]


def _with_config(arguments: list[str]) -> list[str]:
    """The arguments with ``--config FILE`` in place of the name of a settings file."""
    from physcon.cli import configs

    name, *rest = arguments
    if not rest:
        known = ", ".join(configs.names(name))
        raise ValueError(
            f"expected a settings file, got none; physcon {name} NAME.yaml, or one of "
            f"the names {known}, see --help"
        )
    if rest[0] == "--config" and len(rest) > 1:
        rest = rest[1:]
    if rest[0].startswith("-"):
        return arguments
    return [name, "--config", str(configs.find(rest[0], name)), *rest[1:]]


class _Outline(argparse.ArgumentParser):
    """The commands with a line of help each, without importing them."""

    def error(self, message: str) -> NoReturn:
        import difflib

        wrong = sys.argv[1:2] if "invalid choice" in message else []
        close = difflib.get_close_matches(wrong[0], COMMANDS, 1) if wrong else []
        hint = f"; did you mean {close[0]}?" if close else ""
        super().error(f"{message}{hint}")


def _outline() -> argparse.ArgumentParser:
    outline = _Outline(prog="physcon", description=_ABOUT)
    outline.add_argument(
        "--version", action="version", version=f"physcon {__version__}"
    )
    commands = outline.add_subparsers(dest="subcommand", required=True)
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text)
    return outline


def _end_of_pipe() -> NoReturn:
    """End quietly after the reader of the output has gone, as `head` does."""
    # What Python still holds would fail to be written at exit, with a message.
    with open(os.devnull, "w") as nowhere:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                try:
                    os.dup2(nowhere.fileno(), stream.fileno())
                except (OSError, ValueError):
                    continue
    sys.exit(_CLOSED_PIPE)


def _message(error: Exception) -> str | None:
    """The reason in the user's terms; None for a fault of the program, whose stack is
    kept.

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
    # Outside of jit the check raises the same error, without a stack around it.
    plain = type(error) is RuntimeError or type(error).__name__ == "EquinoxRuntimeError"
    return str(error) if plain else None
